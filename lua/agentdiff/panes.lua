--- The windows of a review: where it is opened, their options, folds, winbar and cursors. Must not
--- change the text.
local M = {}

if jit then
  jit.off(true, true) -- see render.lua
end

local api = vim.api

---@alias agentdiff.Places table<integer, {at: agentdiff.Anchor, view: table}> by window

local FOLDTEXT = "v:lua.require'agentdiff.folds'.text()"
-- One command, where each option on its own costs the first screen ten times as much.
local WINDOW_OPTIONS = 'setlocal nowrap nonumber norelativenumber nospell nolist signcolumn=no'
  .. ' foldcolumn=0 foldenable foldmethod=manual foldtext='
  .. FOLDTEXT

---@param win integer
local function set_window_options(win)
  if win == api.nvim_get_current_win() then
    api.nvim_command(WINDOW_OPTIONS)
  else
    api.nvim_win_call(win, function()
      api.nvim_command(WINDOW_OPTIONS)
    end)
  end
end

--- Returns the nearest of some windows: the current one, else one of this tab page, else any.
---@param wins integer[]
---@return integer?
local function nearest(wins)
  local here = vim.list_extend({ api.nvim_get_current_win() }, api.nvim_tabpage_list_wins(0))
  for _, win in ipairs(here) do
    if vim.list_contains(wins, win) then
      return win
    end
  end
  return wins[1]
end

--- Notes that the current window went from the review to the file that it shows.
function M.note_jump()
  local from = vim.w.agentdiff_review
  if from then
    from.jumped = api.nvim_get_current_buf()
    vim.w.agentdiff_review = from
  end
end

--- Returns a window that was opened for a review and still shows the file one went to from there.
---@param how string the option `review.open`
---@return integer?
local function own_window(how)
  local function is_own(win)
    local from = vim.w[win].agentdiff_review
    return from ~= nil
      and from.opened
      and from.jumped == api.nvim_win_get_buf(win)
      and require('agentdiff.windows').can_change(win)
  end
  local wins = how == 'tab' and api.nvim_list_wins() or api.nvim_tabpage_list_wins(0)
  return nearest(vim.tbl_filter(is_own, wins))
end

--- Returns what the current window shows, and its alternate file: the one of before the review,
--- where one went from the review to a file.
---@param review integer buffer
---@return integer previous
---@return integer alternate
local function shown_before(review)
  local now, alternate = api.nvim_get_current_buf(), vim.fn.bufnr('#')
  local from = vim.w.agentdiff_review
  if alternate == review and from then
    alternate = from.previous ~= now and from.previous or from.alternate
  end
  return now, alternate
end

--- Shows a review in the current window, or where the option says; goes to one that shows it.
---@param buf integer
---@return boolean done
function M.show(buf)
  local win = nearest(vim.fn.win_findbuf(buf))
  if win then
    api.nvim_set_current_win(win)
    return true
  end
  local windows = require('agentdiff.windows')
  local how = require('agentdiff.config').get().review.open
  if how == 'current' and not windows.can_change(0) then
    how = 'split' -- 'winfixbuf', or 'nohidden' and unsaved changes
  end
  local own = how ~= 'current' and own_window(how)
  if own then
    api.nvim_set_current_win(own)
    api.nvim_win_set_buf(own, buf)
    return true
  end
  local previous, alternate = shown_before(buf)
  if how ~= 'current' and not windows.split(how == 'tab' and 'tab split' or how) then
    return false
  end
  api.nvim_win_set_buf(0, buf)
  vim.w.agentdiff_review = { opened = how ~= 'current', previous = previous, alternate = alternate }
  return true
end

--- Gives a window that shows again what it showed before the review the alternate file of then.
---@param win integer
---@param review integer buffer
function M.give_back_alternate(win, review)
  local from = vim.w[win].agentdiff_review
  if not from or api.nvim_win_get_buf(win) ~= from.previous then
    return
  end
  vim.w[win].agentdiff_review = nil
  if api.nvim_buf_is_valid(from.alternate) then
    api.nvim_win_call(win, function()
      local now = vim.fn.bufnr('#')
      if now == -1 or now == review then
        vim.fn.setreg('#', from.alternate)
      end
    end)
  end
end

--- Puts the cursor on a row of a review that is not being edited.
---@param review agentdiff.Review
---@param row integer 0-based
function M.go_to(review, row)
  if not vim.bo[review.buf].modified then
    local last = api.nvim_buf_line_count(review.buf)
    api.nvim_win_set_cursor(0, { math.min(row + 1, last), 0 })
  end
end

--- Returns what the winbar says: how the review is grouped and limited.
---@param review agentdiff.Review
---@return string
local function winbar(review)
  local parts = { 'by ' .. review.view.group }
  for _, name in ipairs({ 'agent', 'session', 'turn', 'call', 'path' }) do
    local value = review.view.filters[name]
    if value then
      parts[#parts + 1] = name .. '=' .. tostring(value)
    end
  end
  local files, hunks = review.summary.files or 0, review.summary.hunks or 0
  if #parts > 1 then
    parts[#parts + 1] = ('%d of %d hunks'):format(#review.view.hunks.id, hunks)
  else
    parts[#parts + 1] = ('%d file%s %d hunk%s'):format(
      files,
      files == 1 and '' or 's',
      hunks,
      hunks == 1 and '' or 's'
    )
  end
  local text = table.concat(parts, '  '):gsub('%%', '%%%%')
  if require('agentdiff.status').is_stale() then
    text = text .. '  %#AgentDiffStale#stale: the daemon is away%*'
  elseif review.held then
    text = text .. '  %#AgentDiffStale#in use: not refreshed%*'
  end
  return '%<' .. text .. '%=g? help'
end

--- Whether the folds of a window are those of the rows that it shows. They are not when the rows
--- changed while it showed something else: Neovim brings manual folds back at their line numbers.
---@param win integer
---@param review agentdiff.Review
---@return boolean
local function is_folded(win, review)
  local folded = vim.w[win].agentdiff_folded
  return folded ~= nil and folded[1] == review.buf and folded[2] == review.shape
end

---@param win integer
---@param review agentdiff.Review
local function fold(win, review)
  vim.w[win].agentdiff_folded = { review.buf, review.shape }
  require('agentdiff.folds').apply(win, review.view)
end

--- Whether there are as many lines as rows: an edit may have moved some, |:edit| takes all away.
---@param review agentdiff.Review
---@return boolean
local function has_rows(review)
  return api.nvim_buf_line_count(review.buf) == #review.view.kinds
end

--- Takes the folds of a window that nobody knows for its own: a split, also one into another tab
--- page (CTRL-W T), has folds and options of the window that it was made from, and no variables.
--- Must not be asked of a window that a buffer came into: Neovim brings both back there, too.
---@param win integer
---@param review agentdiff.Review
local function adopt(win, review)
  local fresh = vim.w[win].agentdiff_dressed == nil and vim.w[win].agentdiff_folded == nil
  if fresh and vim.wo[win].foldtext == FOLDTEXT and has_rows(review) then
    vim.w[win].agentdiff_folded = { review.buf, review.shape }
    require('agentdiff.folds').remember(win, review.view)
  end
end

--- Sets options, winbar and folds of the windows that show a review.
---@param review agentdiff.Review
---@param entered integer? the window that it has just come into
function M.dress(review, entered)
  local folds = require('agentdiff.folds')
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    if vim.w[win].agentdiff_dressed ~= review.buf then
      if win ~= entered then
        adopt(win, review)
      end
      api.nvim_win_set_var(win, 'agentdiff_dressed', review.buf)
      set_window_options(win)
    end
    if not require('agentdiff.render').partial(review.buf) and not is_folded(win, review) then
      fold(win, review)
    end
    -- A window of one row has no room for it.
    local room = api.nvim_win_get_height(win) > 2 or vim.wo[win].winbar ~= ''
    if room and require('agentdiff.config').get().review.winbar then
      api.nvim_set_option_value('winbar', winbar(review), { win = win, scope = 'local' })
    end
  end
  folds.tidy()
end

--- Remembers which folds of a window are closed, before it shows something else.
---@param win integer
---@param review agentdiff.Review
function M.leave(win, review)
  adopt(win, review)
  if is_folded(win, review) and has_rows(review) then
    require('agentdiff.folds').remember(win, review.view)
  end
end

--- Remembers what the cursor of the current window is on, which leaves the review.
---@param review agentdiff.Review
function M.note_left(review)
  if has_rows(review) and not vim.bo[review.buf].modified then
    local row = api.nvim_win_get_cursor(0)[1] - 1
    review.left = require('agentdiff.view').anchor(review.view, row)
  end
end

--- Puts the cursor on what it was on when it left the review, if Neovim brought it back to where
--- that was: text that was replaced meanwhile takes the jump list elsewhere, and marks away.
---@param review agentdiff.Review
---@param sure boolean? Neovim did so
---@return boolean done or, while the text is not whole, to be done later
function M.come_back(review, sure)
  if not review.left or api.nvim_get_current_buf() ~= review.buf then
    return false
  elseif require('agentdiff.render').partial(review.buf) then
    review.awaited = review.left
    return sure or false
  end
  local at, cursor = review.left, api.nvim_win_get_cursor(0)
  local mark = api.nvim_buf_get_mark(review.buf, '"')[1]
  review.left = nil
  if not sure and mark ~= 0 and mark ~= cursor[1] then
    return false
  end
  local row = require('agentdiff.view').find(review.view, at)
  if row ~= cursor[1] - 1 then
    M.go_to(review, row)
  end
  return true
end

--- Remembers what the cursors are on.
---@param review agentdiff.Review
---@return agentdiff.Places
function M.remember(review)
  local places = {}
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local row = api.nvim_win_get_cursor(win)[1] - 1
    places[win] = {
      at = require('agentdiff.view').anchor(review.view, row),
      view = api.nvim_win_call(win, vim.fn.winsaveview),
    }
    M.leave(win, review)
  end
  return places
end

--- Puts the cursors back on their lines of their hunks.
---@param review agentdiff.Review
---@param places agentdiff.Places
function M.put_back(review, places)
  local lines = api.nvim_buf_line_count(review.buf)
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local place = places[win]
    if place then
      local row = require('agentdiff.view').find(review.view, place.at)
      row = math.max(0, math.min(row, lines - 1))
      local same = require('agentdiff.view').is_at(review.view, place.at, row)
      local above = place.view.lnum - place.view.topline
      -- The cursor keeps its place on the screen, but nothing hides above while below is room.
      local last = math.max(1, lines - api.nvim_win_get_height(win) + 1)
      api.nvim_win_call(win, function()
        vim.fn.winrestview({
          lnum = row + 1,
          col = place.view.col,
          topline = math.max(1, math.min(row + 1 - above, last)),
        })
      end)
      if not require('agentdiff.render').partial(review.buf) then
        require('agentdiff.float').drawn(win, same)
      end
    end
  end
end

--- Makes the folds anew and lets the cursors be where they were.
---@param review agentdiff.Review
---@param places agentdiff.Places
function M.refold(review, places)
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local saved = api.nvim_win_call(win, vim.fn.winsaveview)
    fold(win, review)
    api.nvim_win_call(win, function()
      vim.fn.winrestview(saved)
    end)
  end
  M.put_back(review, places)
end

return M
