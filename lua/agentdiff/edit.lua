--- Editing the review buffer: while it is modified it is an ordinary buffer, and |:write| applies
--- what was changed. Must not read the text as a diff: Python does.
local M = {}

local api = vim.api
local NAME = 'agentdiff://'

--- Gives a review buffer its name, also after |:file| or |:saveas| gave it another.
---@param buf integer
---@param workspace string
function M.name(buf, workspace)
  local name = NAME .. workspace
  if api.nvim_buf_is_valid(buf) and api.nvim_buf_get_name(buf) ~= name then
    api.nvim_buf_set_name(buf, name)
  end
end

---@class agentdiff.Renamed
---@field win integer
---@field alternate integer buffer, or -1

--- Returns the alternate file that a rename of the review is about to take from the current window.
---@param buf integer
---@param workspace string
---@return agentdiff.Renamed? nil while it is given its own name back
function M.before_rename(buf, workspace)
  if api.nvim_buf_get_name(buf) == NAME .. workspace then
    return { win = api.nvim_get_current_win(), alternate = vim.fn.bufnr('#') }
  end
end

--- Undoes |:file|. Every rename leaves an unlisted buffer of the old name, as the alternate file.
---@param buf integer
---@param workspace string
---@param renamed agentdiff.Renamed?
function M.rename_back(buf, workspace, renamed)
  local other = api.nvim_buf_is_valid(buf) and api.nvim_buf_get_name(buf) or ''
  if other == NAME .. workspace then
    return
  end
  M.name(buf, workspace)
  local function is_trace(known)
    local used = vim.bo[known].buflisted or api.nvim_buf_is_loaded(known)
    return other ~= '' and not used and api.nvim_buf_get_name(known) == other
  end
  local trace = vim.tbl_filter(is_trace, api.nvim_list_bufs())[1]
  local win = renamed and api.nvim_win_is_valid(renamed.win) and renamed.win or 0
  api.nvim_win_call(win, function()
    local now = vim.fn.bufnr('#')
    if renamed and (now == trace or now == -1) and api.nvim_buf_is_valid(renamed.alternate) then
      vim.fn.setreg('#', renamed.alternate)
    end
  end)
  if trace then
    api.nvim_buf_delete(trace, { force = true })
  end
end

--- Whether the user is editing, about to, or selecting lines: then nothing is refreshed.
---@param buf integer
---@return boolean
function M.active(buf)
  if vim.bo[buf].modified then
    return true
  end
  local busy = api.nvim_get_mode().mode:match('^[iRvVsS\22\19]') ~= nil
  return busy and api.nvim_get_current_buf() == buf
end

--- Says that decisions have to wait, when they have to.
---@param buf integer
---@return boolean refused
function M.refuse(buf)
  if not vim.bo[buf].modified then
    return false
  end
  local message = 'the review is being edited: :write applies that, :edit! drops it'
  require('agentdiff').notify(message, vim.log.levels.WARN)
  return true
end

--- Called for |:write|: applies the edit, unless the text is to go to a file, as any buffer's can.
---@param buf integer
---@param path string what is written
---@return string command for |:execute|, which fails as Neovim does
function M.write(buf, path)
  local review, workspace = require('agentdiff.review').get(buf)
  if workspace and path ~= NAME .. workspace then
    M.name(buf, workspace) -- |:saveas| has renamed it; a buffer's own name is not copied into
    -- That nothing is overwritten unasked has been seen to.
    return ('noautocmd write! %s %s'):format(vim.v.cmdarg, vim.fn.fnameescape(path))
  elseif not review or not vim.bo[buf].modified then
    return ''
  end
  review.writing = true
  local result, err = require('agentdiff.rpc').wait('review.apply', {
    workspace = workspace,
    token = review.view.token,
    lines = api.nvim_buf_get_lines(buf, 0, -1, false),
    view = 'review',
  })
  review.writing = nil
  -- On success the new view came before the answer; else the text stays as the user left it.
  require('agentdiff.actions').report('write', result, err)
  return ''
end

--- Called for |:edit|, which has emptied the buffer: shows the review as it is.
---@param buf integer
function M.drop(buf)
  local review = require('agentdiff.review').get(buf)
  vim.bo[buf].modified = false
  if review then
    -- If nobody answers, no part of a later view fits.
    review.drawn = false
    require('agentdiff.review').open(review.view.filters)
  end
end

--- Lets a review buffer be written.
---@param buf integer
function M.attach(buf)
  api.nvim_create_autocmd('BufWriteCmd', {
    buffer = buf,
    command = [[execute v:lua.require'agentdiff.edit'.write(]]
      .. [[str2nr(expand('<abuf>')), expand('<amatch>'))]],
  })
end

--- Has an update that waits shown when the edit is over: what was typed may have been undone, or
--- nothing was typed at all.
---@param review agentdiff.Review
function M.await_end(review)
  local buf = review.buf
  local group = api.nvim_create_augroup('agentdiff.held.' .. buf, {}) -- without those of before
  local function go_on()
    if not api.nvim_buf_is_valid(buf) or not review.held then
      api.nvim_clear_autocmds({ group = group })
    elseif not M.active(buf) then
      require('agentdiff.review').ask_again()
    end
  end
  api.nvim_create_autocmd('TextChanged', { group = group, buffer = buf, callback = go_on })
  api.nvim_create_autocmd('ModeChanged', { group = group, pattern = '*:n', callback = go_on })
end

return M
