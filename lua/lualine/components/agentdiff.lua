-- lualine component: `sections = { lualine_b = { 'agentdiff' } }`. Reads variables only.
local Component = require('lualine.component'):extend()

function Component.update_status()
  return require('agentdiff').statusline()
end

return Component
