--- The review buffer: its window, its keys, and the cursor that stays where it was. Must not decide
--- anything.
local M = {}

local api = vim.api

---@class agentdiff.Review
---@field buf integer
---@field view agentdiff.ReviewView
---@field summary agentdiff.Summary

local reviews = {} ---@type table<string, agentdiff.Review> by workspace

---@param buf integer
---@return agentdiff.Review? review
---@return string? workspace
local function of_buffer(buf)
  for workspace, review in pairs(reviews) do
    if review.buf == buf then
      return review, workspace
    end
  end
end

--- Returns the review in a buffer.
---@param buf integer
---@return agentdiff.Review?
---@return string?
function M.get(buf)
  return of_buffer(buf)
end

---@param view agentdiff.ReviewView
---@param row integer 0-based
---@return integer? index into `hunks`, 1-based
local function hunk_at(view, row)
  for i, hunk in ipairs(view.hunks) do
    if row >= hunk.row and row < hunk.row + hunk.rows then
      return i
    end
  end
end

---@param view agentdiff.ReviewView
---@param row integer 0-based
---@return agentdiff.ReviewFile?
local function file_at(view, row)
  local found
  for _, file in ipairs(view.files) do
    if file.row > row then
      break
    end
    found = file
  end
  return found
end

--- Returns the row of a hunk's first changed line: the context above it may grow and shrink with
--- its neighbours.
---@param view agentdiff.ReviewView
---@param hunk agentdiff.ReviewHunk
---@return integer 0-based
local function body(view, hunk)
  for row = hunk.row, hunk.row + hunk.rows - 1 do
    if view.kinds:sub(row + 1, row + 1):match('[dam]') then
      return row
    end
  end
  return hunk.row
end

--- Says where a row is in terms that survive a refresh.
---@param view agentdiff.ReviewView
---@param row integer 0-based
local function anchor(view, row)
  local index = hunk_at(view, row)
  local file = file_at(view, row)
  local after = {}
  for i, hunk in ipairs(view.hunks) do
    if i ~= index and hunk.row >= row then
      after[#after + 1] = hunk.id
    end
  end
  return {
    hunk = index and view.hunks[index].id,
    offset = row - (index and body(view, view.hunks[index]) or file and file.row or 0),
    file = file and file.path,
    after = after,
    row = row,
  }
end

--- Returns the 0-based row of an anchor in a newer view: the same hunk, else the one that followed
--- it.
---@param view agentdiff.ReviewView
local function find(view, at)
  local rows = {}
  for _, hunk in ipairs(view.hunks) do
    rows[hunk.id] = hunk
  end
  local same = at.hunk and rows[at.hunk]
  if same then
    local row = body(view, same) + at.offset
    return math.max(same.row, math.min(row, same.row + same.rows - 1))
  end
  if not at.hunk then
    for _, file in ipairs(view.files) do
      if file.path == at.file then
        return file.row + at.offset
      end
    end
  end
  for _, id in ipairs(at.after) do
    if rows[id] then
      return rows[id].row
    end
  end
  local last = view.hunks[#view.hunks]
  return at.hunk and last and last.row or at.row
end

---@param workspace string
---@return integer
local function make_buffer(workspace)
  local buf = api.nvim_create_buf(false, true)
  api.nvim_buf_set_name(buf, 'agentdiff://' .. workspace)
  vim.bo[buf].bufhidden = 'hide'
  vim.bo[buf].undolevels = -1
  vim.bo[buf].modifiable = false
  vim.b[buf].agentdiff_workspace = workspace
  require('agentdiff.actions').map_review_keys(buf)
  api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    callback = function()
      reviews[workspace] = nil
      require('agentdiff.render').forget(buf)
      if require('agentdiff.rpc').used() then
        require('agentdiff.rpc').send('review.close', { workspace = workspace })
      end
    end,
  })
  -- Last, so that autocommands on it see the finished buffer.
  vim.bo[buf].filetype = 'agentdiff'
  return buf
end

---@param buf integer
local function show(buf)
  local win = vim.fn.win_findbuf(buf)[1]
  if win then
    api.nvim_set_current_win(win)
    return
  end
  local how = require('agentdiff.config').get().review.open
  local previous = api.nvim_get_current_buf()
  if how == 'tab' then
    vim.cmd('tab split')
  elseif how ~= 'current' then
    vim.cmd(how)
  end
  api.nvim_win_set_buf(0, buf)
  vim.w.agentdiff_review = { opened = how ~= 'current', previous = previous }
  vim.wo[0][0].wrap = false
  vim.wo[0][0].number = false
  vim.wo[0][0].relativenumber = false
  vim.wo[0][0].signcolumn = 'no'
  vim.wo[0][0].foldcolumn = '0'
  vim.wo[0][0].spell = false
  vim.wo[0][0].list = false
end

--- Opens the review buffer, filled.
---@param filters table<string, any>?
---@return boolean ok
function M.open(filters)
  require('agentdiff.buffers').enable()
  filters = vim.tbl_extend('keep', filters or {}, {
    context = require('agentdiff.config').get().review.context,
  })
  local result, err = require('agentdiff.rpc').wait('review.open', {
    filters = filters,
    workspace = select(2, of_buffer(api.nvim_get_current_buf())),
  })
  if err then
    require('agentdiff').notify(err.message, vim.log.levels.ERROR)
    return false
  end
  local review = reviews[result.workspace]
  show(review.buf)
  local first = review.view.hunks[1]
  if first and api.nvim_win_get_cursor(0)[1] == 1 then
    api.nvim_win_set_cursor(0, { first.row + 1, 0 })
  end
  return true
end

---@param workspace string
---@param summary agentdiff.Summary
local function set_winbar(workspace, summary)
  local review = reviews[workspace]
  vim.b[review.buf].agentdiff_status = vim.g.agentdiff_status
  review.summary = summary
end

--- Draws a newer view; the cursor of every window stays on its line of its hunk.
---@param workspace string
---@param view agentdiff.ReviewView
---@param summary agentdiff.Summary
function M.draw(workspace, view, summary)
  local review = reviews[workspace]
  if not review then
    review = { buf = make_buffer(workspace), view = view, summary = summary }
    reviews[workspace] = review
  end
  local places = {}
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local row = api.nvim_win_get_cursor(win)[1] - 1
    local saved = api.nvim_win_call(win, vim.fn.winsaveview)
    places[win] = { at = anchor(review.view, row), view = saved }
  end
  review.view = view
  require('agentdiff.render').draw(review.buf, view)
  for win, place in pairs(places) do
    local row = math.max(0, math.min(find(view, place.at), #view.lines - 1))
    local above = place.view.lnum - place.view.topline
    -- The cursor keeps its place on the screen, but nothing hides above while there is room below.
    local last = math.max(1, #view.lines - api.nvim_win_get_height(win) + 1)
    api.nvim_win_call(win, function()
      vim.fn.winrestview({
        lnum = row + 1,
        col = place.view.col,
        topline = math.max(1, math.min(row + 1 - above, last)),
      })
    end)
  end
  set_winbar(workspace, summary)
end

--- Moves the cursor to the next or previous hunk, also into another file.
---@param step 1|-1
function M.jump(step)
  local review = of_buffer(api.nvim_get_current_buf())
  if not review or #review.view.hunks == 0 then
    return
  end
  local row = api.nvim_win_get_cursor(0)[1] - 1
  local hunks = review.view.hunks
  local target
  for _ = 1, vim.v.count1 do
    local found
    for i = step > 0 and 1 or #hunks, step > 0 and #hunks or 1, step do
      if (hunks[i].row - row) * step > 0 then
        found = hunks[i].row
        break
      end
    end
    if not found and vim.o.wrapscan then
      found = hunks[step > 0 and 1 or #hunks].row
    end
    row = found or row
    target = row
  end
  vim.cmd("normal! m'")
  api.nvim_win_set_cursor(0, { target + 1, 0 })
end

--- Opens the file at the line under the cursor, in this window; <C-o> comes back.
function M.jump_to_file()
  local review, workspace = of_buffer(api.nvim_get_current_buf())
  if not review then
    return
  end
  local row = api.nvim_win_get_cursor(0)[1] - 1
  local file = file_at(review.view, row)
  if not file then
    return
  end
  local relative = file.path_b64 and vim.base64.decode(file.path_b64) or file.path
  local path = workspace .. '/' .. relative
  if not vim.uv.fs_lstat(path) then
    require('agentdiff').notify(file.path .. ' is not on disk', vim.log.levels.WARN)
    return
  end
  local lnum = review.view.lnums[row + 1]
  vim.cmd("normal! m'")
  vim.cmd.edit({ vim.fn.fnameescape(path) })
  if lnum and lnum > 0 then
    api.nvim_win_set_cursor(0, { math.min(lnum, api.nvim_buf_line_count(0)), 0 })
    vim.cmd('normal! zvzz')
  end
end

--- Closes the review and gives the window back what it showed before; the list of keys goes first.
function M.close()
  if require('agentdiff.actions').close_help() then
    return
  end
  local review = of_buffer(api.nvim_get_current_buf())
  if not review then
    return
  end
  local from = vim.w.agentdiff_review or {}
  vim.w.agentdiff_review = nil
  if from.opened and #api.nvim_list_wins() > 1 then
    api.nvim_win_close(0, false)
  elseif from.previous and api.nvim_buf_is_valid(from.previous) and from.previous ~= review.buf then
    api.nvim_win_set_buf(0, from.previous)
  else
    api.nvim_win_set_buf(0, api.nvim_create_buf(true, false))
  end
  if #vim.fn.win_findbuf(review.buf) == 0 then
    api.nvim_buf_delete(review.buf, { force = true })
  end
end

--- Opens the reviews again at a new host.
function M.resume()
  for workspace, review in pairs(reviews) do
    local payload = { workspace = workspace, filters = review.view.filters }
    require('agentdiff.rpc').request('review.open', payload, function() end)
  end
end

--- Marks the reviews as possibly out of date, or takes the mark away.
---@param stale boolean
function M.mark_stale(stale)
  for _, review in pairs(reviews) do
    for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
      vim.wo[win][0].winbar = stale and '%#AgentDiffStale#stale: the daemon is away%*' or ''
    end
  end
end

return M
