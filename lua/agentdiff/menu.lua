--- What can be done with the hunk under the cursor, offered for choice; the hunk as a text object.
--- Must not decide anything: `actions` does.
local M = {}

local api = vim.api

---@type {[1]: string, [2]: string}[] action, and how it is called
M.OFFERS = {
  { 'accept-hunk', 'Accept the hunk' },
  { 'reject-hunk', 'Reject the hunk' },
  { 'preview-hunk', 'Show old and new lines' },
  { 'select-hunk', 'Select its lines' },
  { 'owner', 'Show or hide who did it' },
  { 'accept-file', 'Accept everything in the file' },
  { 'reject-file', 'Reject everything in the file' },
  { 'baseline', 'Compare the file with its baseline' },
  { 'undo', 'Undo the last decision' },
}

---@return agentdiff.Place?
local function here()
  local line = api.nvim_win_get_cursor(0)[1]
  local there = require('agentdiff.inline').at(api.nvim_get_current_buf(), line)
  if not there then
    require('agentdiff').notify('no hunk here')
  end
  return there
end

--- Offers the actions with |vim.ui.select()|.
function M.offer()
  local there = here()
  if not there then
    return
  end
  vim.ui.select(M.OFFERS, {
    prompt = there.hunk.owner,
    kind = 'agentdiff.action',
    format_item = function(offer)
      return offer[2]
    end,
  }, function(offer)
    if offer then
      require('agentdiff.actions').run(offer[1])
    end
  end)
end

--- Selects the lines of the hunk; in Operator-pending mode the operator takes them.
function M.select_hunk()
  local there = here()
  if there and there.hunk.added > 0 then
    local leave = api.nvim_get_mode().mode:match('^[vV\22]') and vim.keycode('<Esc>') or ''
    vim.cmd(('normal! %s%dGV%dG'):format(leave, there.first, there.last))
  end
end

return M
