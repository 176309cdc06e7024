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

-- In the review old and new lines are in sight, and so is the owner.
---@type {[1]: string, [2]: string}[]
local IN_REVIEW = {
  { 'accept-hunk', 'Accept the hunk' },
  { 'reject-hunk', 'Reject the hunk' },
  { 'explain', 'Show who did it, for which prompt, and how that is known' },
  { 'comment', 'Say something about it to the agent' },
  { 'select-hunk', 'Select its lines' },
  { 'open', 'Go to its line in the file' },
  { 'accept-file', 'Accept everything in the file' },
  { 'reject-file', 'Reject everything in the file' },
  { 'baseline', 'Compare the file with its baseline' },
  { 'undo', 'Undo the last decision' },
}

---@class agentdiff.Here
---@field owner string
---@field first integer 1-based line of the buffer
---@field last integer inclusive; less than `first` when the hunk has no line of its own

---@param review agentdiff.Review
---@param line integer
---@return agentdiff.Here?
local function in_review(review, line)
  local hunks = review.view.hunks
  local i = require('agentdiff.view').hunk_at(review.view, line - 1)
  if not i then
    return nil
  end
  local first = hunks.row[i] + 1
  local heading = api.nvim_buf_get_lines(review.buf, first - 1, first, false)[1]
  return {
    owner = heading:match('^@@ .- @@ (.*)$') or heading,
    first = first,
    last = first + hunks.rows[i] - 1,
  }
end

--- Returns the hunk under the cursor; nil with the reason told.
---@return agentdiff.Here?
local function here()
  local buf, line = api.nvim_get_current_buf(), api.nvim_win_get_cursor(0)[1]
  local review = require('agentdiff.review').get(buf)
  if review and require('agentdiff.edit').refuse(review.buf) then
    return nil
  end
  local found
  if review then
    found = in_review(review, line)
  else
    local there = require('agentdiff.inline').at(buf, line)
    found = there
      and {
        owner = there.hunk.owner,
        first = there.first,
        last = there.hunk.added > 0 and there.last or there.first - 1,
      }
  end
  if not found then
    require('agentdiff').notify('no hunk here')
  end
  return found
end

--- Offers the actions with |vim.ui.select()|.
function M.offer()
  local there = here()
  if not there then
    return
  end
  local review = require('agentdiff.review').get(api.nvim_get_current_buf())
  vim.ui.select(review and IN_REVIEW or M.OFFERS, {
    prompt = there.owner,
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
  if there and there.last >= there.first then
    local leave = api.nvim_get_mode().mode:match('^[vV\22]') and vim.keycode('<Esc>') or ''
    vim.cmd(('normal! %s%dGV%dG'):format(leave, there.first, there.last))
  end
end

return M
