--- A review buffer that a session file (|:mksession|) names is opened again.
local M = {}

local api = vim.api

--- Fills the windows of a placeholder with the review of its workspace.
---@param buf integer
---@param name string of the buffer
function M.open(buf, name)
  if require('agentdiff.review').get(buf) then
    return
  end
  local workspace = name:gsub('^agentdiff://', '')
  -- The review's own buffer will have this name.
  vim.bo[buf].buftype = 'nofile'
  vim.bo[buf].bufhidden = 'wipe'
  api.nvim_buf_set_name(buf, 'agentdiff-restored://' .. buf)
  api.nvim_buf_set_lines(buf, 0, -1, false, { 'agentdiff: the review is being opened' })
  vim.bo[buf].modified = false
  vim.schedule(function()
    for _, win in ipairs(vim.fn.win_findbuf(buf)) do
      api.nvim_win_call(win, function()
        require('agentdiff.review').open({}, workspace)
      end)
    end
  end)
end

return M
