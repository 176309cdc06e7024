-- Opens the review as a user does, waits until it shows something, and writes what is on the screen
-- as JSON to $AGENTDIFF_DEMO_OUT. Must not reach into the plugin: command, buffer and statusline are
-- public.
local TIMEOUT_MS = 20000

local function shown()
  return vim.bo.filetype == 'agentdiff' and vim.api.nvim_buf_line_count(0) > 1
end

local function counted()
  return require('agentdiff').statusline() ~= ''
end

vim.cmd('AgentDiff')
local complete = vim.wait(TIMEOUT_MS, function()
  return shown() and counted()
end, 20)
local out = assert(io.open(assert(vim.env.AGENTDIFF_DEMO_OUT), 'w'))
out:write(vim.json.encode({
  complete = complete,
  lines = vim.api.nvim_buf_get_lines(0, 0, -1, false),
  statusline = require('agentdiff').statusline(),
  messages = vim.fn.execute('messages'),
}))
out:close()
vim.cmd('qall!')
