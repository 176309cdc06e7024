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

local NO_LINES = 'the hunk has no lines, it only deletes'

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

--- Returns the hunk under the cursor.
---@return agentdiff.Here?
local function find()
  local buf, line = api.nvim_get_current_buf(), api.nvim_win_get_cursor(0)[1]
  local review = require('agentdiff.review').get(buf)
  if review then
    return in_review(review, line)
  end
  local there = require('agentdiff.inline').at(buf, line)
  return there
    and {
      owner = there.hunk.owner,
      first = there.first,
      last = there.hunk.added > 0 and there.last or there.first - 1,
    }
end

--- Returns the hunk under the cursor; nil with the reason told.
---@return agentdiff.Here?
local function here()
  local review = require('agentdiff.review').get(api.nvim_get_current_buf())
  if review and require('agentdiff.edit').refuse(review.buf) then
    return nil
  end
  local found = find()
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

--- Returns the hunk under the cursor if it has lines that can be selected.
---@return agentdiff.Here?
---@return string? problem why there are none
local function lines_here()
  local review = require('agentdiff.review').get(api.nvim_get_current_buf())
  local there = not (review and vim.bo.modified) and find() or nil
  if there and there.last >= there.first then
    return there
  end
  return nil, there and NO_LINES or 'no hunk here'
end

--- Says why there are none.
local function tell_no_lines()
  local there = here()
  if there and there.last < there.first then
    require('agentdiff').notify(NO_LINES)
  end
end

--- Selects the lines of the hunk.
function M.select_hunk()
  local there = lines_here()
  if there then
    local leave = api.nvim_get_mode().mode:match('^[vV\22]') and vim.keycode('<Esc>') or ''
    vim.cmd(('normal! %s%dGV%dG'):format(leave, there.first, there.last))
  else
    tell_no_lines()
  end
end

--- Returns the keys of the text object. Where there are no lines the operator has to be left, or
--- |c| would go on to Insert mode.
---@return string
function M.object_keys()
  if lines_here() then
    return "<Cmd>execute v:lua.require'agentdiff.menu'.object()<CR>"
  end
  vim.schedule(tell_no_lines) -- no window can be opened for a message while keys are asked for
  return '<Esc>'
end

--- Returns the command that lets an operator take the lines; it fails when the operator is repeated
--- where there are none.
---@return string command for |:execute|
function M.object()
  local there, problem = lines_here()
  if there then
    return ('normal! %dGV%dG'):format(there.first, there.last)
  end
  return ("throw 'agentdiff: %s'"):format(problem)
end

return M
