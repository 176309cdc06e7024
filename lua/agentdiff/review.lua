--- The review buffer: its window, its keys, and the cursor that stays where it was. Must not decide
--- anything.
local M = {}

local api = vim.api

---@class agentdiff.Review
---@field buf integer
---@field view agentdiff.ReviewView
---@field summary agentdiff.Summary
---@field held boolean? an update waits for the end of an edit
---@field writing boolean? the whole view that comes next shows what was written
---@field open boolean? a window shows it, and `AgentDiffReviewOpen` has said so

local GROUPINGS = { 'turn', 'session', 'agent', 'file' }
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

--- Tells that a review came to be seen, or is seen no more, whatever did that.
---@param workspace string
---@param review agentdiff.Review
local function announce(workspace, review)
  local open = #vim.fn.win_findbuf(review.buf) > 0
  if open == (review.open or false) then
    return
  end
  review.open = open
  local data = { workspace = workspace, buf = review.buf }
  if open then
    require('agentdiff.status').fire('AgentDiffReviewOpen', data)
  else
    require('agentdiff.status').fire('AgentDiffReviewClose', data)
  end
end

--- Announces once the window commands that are under way are done.
---@param workspace string
local function announce_soon(workspace)
  local review = reviews[workspace]
  if review then
    vim.schedule(function()
      announce(workspace, review)
    end)
  end
end

---@param workspace string
---@return integer
local function make_buffer(workspace)
  local buf = api.nvim_create_buf(false, true)
  api.nvim_buf_set_name(buf, 'agentdiff://' .. workspace)
  vim.bo[buf].buftype = 'acwrite'
  vim.bo[buf].bufhidden = 'hide'
  vim.bo[buf].swapfile = false
  vim.b[buf].agentdiff_workspace = workspace
  require('agentdiff.keys').map_review(buf)
  require('agentdiff.edit').attach(buf)
  api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    callback = function()
      announce_soon(workspace)
      reviews[workspace] = nil
      require('agentdiff.render').forget(buf)
      if require('agentdiff.rpc').used() then
        require('agentdiff.rpc').send('review.close', { workspace = workspace })
      end
    end,
  })
  api.nvim_buf_call(buf, function()
    vim.cmd('noautocmd setlocal filetype=agentdiff')
  end)
  -- A window that comes to show it later gets its options too.
  api.nvim_create_autocmd('BufWinEnter', {
    buffer = buf,
    callback = function()
      if reviews[workspace] then
        M.dress(reviews[workspace])
        announce_soon(workspace)
      end
    end,
  })
  api.nvim_create_autocmd('BufWinLeave', {
    buffer = buf,
    callback = function()
      announce_soon(workspace)
    end,
  })
  -- Autocommands on it see the finished buffer, and do not delay its first screen.
  vim.schedule(function()
    if api.nvim_buf_is_valid(buf) then
      api.nvim_exec_autocmds('FileType', { buffer = buf, modeline = false })
    end
  end)
  return buf
end

---@param win integer
local function set_window_options(win)
  local wo = vim.wo[win][0]
  wo.wrap = false
  wo.number = false
  wo.relativenumber = false
  wo.signcolumn = 'no'
  wo.foldcolumn = '0'
  wo.foldmethod = 'manual'
  wo.foldenable = true
  wo.foldtext = "v:lua.require'agentdiff.folds'.text()"
  wo.spell = false
  wo.list = false
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
end

--- Opens the review buffer, filled.
---@param filters table<string, any>? `agent`, `session`, `turn`, `path`, `group`
---@param root string? the workspace, where no review is open to say it
---@return boolean ok
function M.open(filters, root)
  require('agentdiff.buffers').enable()
  local options = require('agentdiff.config').get().review
  filters = vim.tbl_extend('keep', filters or {}, {
    context = options.context,
    group = options.group,
  })
  local open, workspace = of_buffer(api.nvim_get_current_buf())
  if open and require('agentdiff.edit').refuse(open.buf) then
    return false
  end
  local result, err = require('agentdiff.rpc').wait('review.open', {
    filters = filters,
    workspace = workspace or root,
  })
  if err then
    require('agentdiff').notify(err.message, vim.log.levels.ERROR)
    return false
  end
  local review = reviews[result.workspace]
  show(review.buf)
  M.dress(review)
  local first = review.view.hunks.row[1]
  if first and api.nvim_win_get_cursor(0)[1] == 1 then
    api.nvim_win_set_cursor(0, { first + 1, 0 })
  elseif not first and #(review.summary.agents or {}) == 0 then
    local hint = 'no agent is at work; :AgentDiff install --detect says which are connected'
    api.nvim_echo({ { hint } }, false, {})
  end
  announce(result.workspace, review)
  return true
end

--- Opens the review with another grouping, or the next one.
---@param by string?
function M.regroup(by)
  local review = of_buffer(api.nvim_get_current_buf())
  local filters = review and vim.deepcopy(review.view.filters) or {}
  local now = review and review.view.group or 'file'
  for i, name in ipairs(GROUPINGS) do
    if not by and name == now then
      by = GROUPINGS[i % #GROUPINGS + 1]
      break
    end
  end
  filters.group = by
  if M.open(filters) and review then
    api.nvim_echo({ { 'grouped by ' .. by } }, false, {})
  end
end

--- Returns what the winbar says: how the review is grouped and limited.
---@param review agentdiff.Review
---@return string
local function winbar(review)
  local parts = { 'by ' .. review.view.group }
  for _, name in ipairs({ 'agent', 'session', 'turn', 'path' }) do
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

--- Sets options, winbar and folds of the windows that show a review.
---@param review agentdiff.Review
function M.dress(review)
  local folds = require('agentdiff.folds')
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    if not vim.w[win].agentdiff_dressed or vim.w[win].agentdiff_dressed ~= review.buf then
      vim.w[win].agentdiff_dressed = review.buf
      set_window_options(win)
      if not require('agentdiff.render').partial(review.buf) then
        folds.apply(win, review.view)
      end
    end
    -- A window of one row has no room for it.
    local room = vim.wo[win].winbar ~= '' or api.nvim_win_get_height(win) > 2
    if room and require('agentdiff.config').get().review.winbar then
      vim.wo[win][0].winbar = winbar(review)
    end
  end
  folds.tidy()
end

---@param review agentdiff.Review
---@return table<integer, {at: agentdiff.Anchor, view: table}> by window
local function remember(review)
  local places = {}
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local row = api.nvim_win_get_cursor(win)[1] - 1
    places[win] = {
      at = require('agentdiff.view').anchor(review.view, row),
      view = api.nvim_win_call(win, vim.fn.winsaveview),
    }
    require('agentdiff.folds').remember(win, review.view)
  end
  return places
end

---@param review agentdiff.Review
---@param places table<integer, {at: agentdiff.Anchor, view: table}>
local function put_back(review, places)
  local lines = api.nvim_buf_line_count(review.buf)
  for win, place in pairs(places) do
    local row = require('agentdiff.view').find(review.view, place.at)
    row = math.max(0, math.min(row, lines - 1))
    local above = place.view.lnum - place.view.topline
    -- The cursor keeps its place on the screen, but nothing hides above while there is room below.
    local last = math.max(1, lines - api.nvim_win_get_height(win) + 1)
    api.nvim_win_call(win, function()
      vim.fn.winrestview({
        lnum = row + 1,
        col = place.view.col,
        topline = math.max(1, math.min(row + 1 - above, last)),
      })
    end)
  end
end

--- Draws a newer view; the cursor of every window stays on its line of its hunk.
---@param workspace string
---@param view agentdiff.ReviewView
---@param summary agentdiff.Summary
function M.draw(workspace, view, summary)
  view = require('agentdiff.view').new(view)
  local render = require('agentdiff.render')
  local review = reviews[workspace]
  if not review then
    if view.splices then
      return M.ask_again()
    end
    review = { buf = make_buffer(workspace), view = view, summary = summary }
    reviews[workspace] = review
  elseif require('agentdiff.edit').active(review.buf) and not (review.writing and view.lines) then
    review.held = true
    return M.dress(review)
  elseif view.splices and view.base ~= review.view.token then
    return M.ask_again()
  end
  render.fill(review.buf)
  local places = remember(review)
  local changed = render.draw(review.buf, view)
  review.view, review.summary, review.held = view, summary, nil
  vim.b[review.buf].agentdiff_status = vim.g.agentdiff_status
  put_back(review, places)
  if view.file then
    -- The first screen is on its way before the rest is read, and all of it before it is folded.
    vim.schedule(function()
      if reviews[workspace] == review and render.fill(review.buf) then
        vim.defer_fn(function()
          if reviews[workspace] == review and review.view == view then
            M.refold(review, places)
          end
        end, 1)
      end
    end)
  elseif changed then
    M.refold(review, places)
  end
  M.dress(review)
end

--- Makes the folds anew and lets the cursors be where they were.
---@param review agentdiff.Review
---@param places table<integer, {at: agentdiff.Anchor, view: table}>
function M.refold(review, places)
  for _, win in ipairs(vim.fn.win_findbuf(review.buf)) do
    local saved = api.nvim_win_call(win, vim.fn.winsaveview)
    require('agentdiff.folds').apply(win, review.view)
    api.nvim_win_call(win, function()
      vim.fn.winrestview(saved)
    end)
  end
  put_back(review, places)
end

--- Asks for the whole view: what came fits nothing that is here.
function M.ask_again()
  require('agentdiff.rpc').send('refresh', { full = true })
end

--- Closes the review and gives the window back what it showed before; a float goes first.
function M.close()
  if require('agentdiff.about').close_float() then
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

--- Shows whether the reviews may be out of date.
function M.mark_stale()
  for _, review in pairs(reviews) do
    M.dress(review)
  end
end

return M
