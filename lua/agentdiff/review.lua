--- The reviews: their buffers, from the first view to the last. Must not decide anything.
local M = {}

if jit then
  jit.off(true, true) -- see render.lua
end

local api = vim.api
local panes = require('agentdiff.panes')

---@class agentdiff.Review
---@field buf integer
---@field view agentdiff.ReviewView
---@field summary agentdiff.Summary
---@field held boolean? an update waits for the end of an edit
---@field writing boolean? the whole view that comes next shows what was written
---@field open boolean? a window shows it, and `AgentDiffReviewOpen` has said so
---@field shape integer raised whenever rows changed
---@field drawn boolean whether the text is that of `view`; a drawing may have been broken off
---@field left agentdiff.Anchor? what the cursor was on when it left and has not come back to
---@field awaited agentdiff.Anchor? that one, if it waits for the rest of the text
---@field renamed agentdiff.Renamed? what |:file| took from the window
---@field places agentdiff.Places? what the cursors were on when |:edit| emptied the buffer

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

--- Lets a review go whose buffer is gone, or about to.
---@param workspace string
---@param buf integer
local function let_go(workspace, buf)
  announce_soon(workspace)
  vim.schedule(function()
    for _, win in ipairs(api.nvim_list_wins()) do
      panes.give_back_alternate(win, buf)
    end
  end)
  reviews[workspace] = nil
  require('agentdiff.render').forget(buf)
  if require('agentdiff.rpc').used() then
    require('agentdiff.rpc').send('review.close', { workspace = workspace })
  end
end

--- Lets the review of a workspace go if its buffer was unloaded, or wiped by |:noautocmd|.
---@param workspace string
local function let_go_of_dead(workspace)
  local buf = reviews[workspace] and reviews[workspace].buf
  if buf and not api.nvim_buf_is_loaded(buf) then
    if api.nvim_buf_is_valid(buf) then
      api.nvim_buf_delete(buf, { force = true })
    end
    if reviews[workspace] then
      let_go(workspace, buf)
    end
  end
end

-- What is done about events of a review's buffer. One autocommand for all of them: each on its own
-- is a part of what the first screen waits for.
---@type table<string, fun(workspace: string, buf: integer)>
local ON = {
  BufWipeout = let_go,
  -- |:bdelete| leaves an empty buffer of that name, without options and keys.
  BufUnload = function(workspace)
    local review = reviews[workspace]
    if review and review.drawn and vim.v.exiting == vim.NIL then
      review.places = panes.remember(review) -- |:edit|, too, tells that the text goes
      review.left = nil -- and takes the marks away by which a return is known
    end
    vim.schedule(function()
      let_go_of_dead(workspace)
    end)
  end,
  -- A window that comes to show it later gets its options too.
  BufWinEnter = function(workspace)
    if reviews[workspace] then
      panes.dress(reviews[workspace], api.nvim_get_current_win())
      announce_soon(workspace)
      if reviews[workspace].left then
        -- CTRL-O sets the cursor after this.
        vim.schedule(function()
          if reviews[workspace] then
            panes.come_back(reviews[workspace])
          end
        end)
      end
    end
  end,
  -- Not when the buffer comes into a window: in this one the cursor has stayed on its line.
  WinEnter = function(workspace)
    if reviews[workspace] then
      reviews[workspace].left = nil
    end
  end,
  BufLeave = function(workspace)
    if reviews[workspace] then
      panes.leave(api.nvim_get_current_win(), reviews[workspace])
      panes.note_left(reviews[workspace])
    end
  end,
  BufWinLeave = announce_soon,
  BufReadCmd = function(_, buf)
    require('agentdiff.edit').drop(buf)
  end,
  BufFilePre = function(workspace, buf)
    local renamed = require('agentdiff.edit').before_rename(buf, workspace)
    if renamed and reviews[workspace] then
      reviews[workspace].renamed = renamed
    end
  end,
  -- It is the review as before; |:saveas| has made a copy.
  BufFilePost = function(workspace, buf)
    vim.schedule(function() -- who renames it still holds the buffer that has the name now
      local renamed = reviews[workspace] and reviews[workspace].renamed
      require('agentdiff.edit').rename_back(buf, workspace, renamed)
    end)
  end,
}
local EVENTS = vim.tbl_keys(ON)

---@param workspace string
---@param buf integer the current one
local function set_up(workspace, buf)
  api.nvim_create_autocmd(EVENTS, {
    buffer = buf,
    callback = function(args)
      ON[args.event](workspace, buf)
    end,
  })
  require('agentdiff.edit').attach(buf)
  require('agentdiff.edit').name(buf, workspace)
  api.nvim_buf_set_var(buf, 'agentdiff_workspace', workspace)
  -- The others are those of a scratch buffer.
  api.nvim_set_option_value('buftype', 'acwrite', { buf = buf })
  api.nvim_set_option_value('filetype', 'agentdiff', { buf = buf })
  require('agentdiff.keys').map_review(buf)
  -- Autocommands on it see the finished buffer, and do not delay its first screen.
  vim.schedule(function()
    if api.nvim_buf_is_valid(buf) then
      api.nvim_exec_autocmds('FileType', { buffer = buf, modeline = false })
    end
  end)
end

--- Makes the buffer of a review that shows its first view.
---@param workspace string
---@param view agentdiff.ReviewView
---@return integer
local function make_buffer(workspace, view)
  local buf = api.nvim_create_buf(false, true)
  -- A new buffer is no file that is renamed, and what others do on |BufFilePost| takes its time.
  local ignored = api.nvim_get_option_value('eventignore', {})
  api.nvim_set_option_value('eventignore', 'all', {})
  -- As the current buffer: what is done to another that has no window makes one, each time.
  local ok, problem = pcall(api.nvim_buf_call, buf, function()
    set_up(workspace, buf)
    require('agentdiff.render').draw(buf, view)
  end)
  api.nvim_set_option_value('eventignore', ignored, {})
  if not ok then
    -- Half a buffer would keep its name from the next try.
    api.nvim_buf_delete(buf, { force = true })
    error('the review buffer cannot be made: ' .. problem, 0)
  end
  return buf
end

--- Opens the review buffer, filled.
---@param filters table<string, any>? `agent`, `session`, `turn`, `call`, `path`, `group`
---@param root string? the workspace, where no review is open to say it
---@return boolean ok
function M.open(filters, root)
  require('agentdiff.buffers').enable()
  for dead in pairs(reviews) do
    let_go_of_dead(dead)
  end
  local options = require('agentdiff.config').get().review
  filters = vim.tbl_extend('keep', filters or {}, { context = options.context })
  local open, workspace = of_buffer(api.nvim_get_current_buf())
  if open and require('agentdiff.edit').refuse(open.buf) then
    return false
  elseif vim.fn.getcmdwintype() ~= '' then
    require('agentdiff').notify('close the command-line window first', vim.log.levels.WARN)
    return false
  end
  local result, err = require('agentdiff.rpc').wait('review.open', {
    filters = filters,
    group = options.group, -- where no review of the workspace is open, which keeps its own
    workspace = workspace or root,
  })
  if err then
    require('agentdiff').notify(err.message, vim.log.levels.ERROR)
    return false
  end
  local review = reviews[result.workspace]
  if not review or not api.nvim_buf_is_loaded(review.buf) then
    -- Text is locked, or it could not be drawn, which has been told.
    require('agentdiff').notify('the review could not be shown; try again', vim.log.levels.ERROR)
    M.ask_again()
    return false
  end
  local seen = #vim.fn.win_findbuf(review.buf) > 0
  if not panes.show(review.buf) then
    return false
  end
  panes.dress(review)
  local first = review.view.hunks.row[1]
  local back = not seen and panes.come_back(review, true)
  if first and not open and not back and api.nvim_win_get_cursor(0)[1] == 1 then
    panes.go_to(review, first)
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
  local groupings = require('agentdiff.arguments').GROUPS
  for i, name in ipairs(groupings) do
    if not by and name == now then
      by = groupings[i % #groupings + 1]
      break
    end
  end
  filters.group = by
  if M.open(filters) and review then
    api.nvim_echo({ { 'grouped by ' .. by } }, false, {})
  end
end

--- Draws a newer view; the cursor of every window stays on its line of its hunk.
---@param workspace string
---@param view agentdiff.ReviewView
---@param summary agentdiff.Summary
function M.draw(workspace, view, summary)
  view = require('agentdiff.view').new(view)
  local render = require('agentdiff.render')
  if reviews[workspace] and not api.nvim_buf_is_loaded(reviews[workspace].buf) then
    return let_go_of_dead(workspace)
  end
  local review = reviews[workspace]
  local places, changed = {}, true
  if not review then
    if view.splices then
      return M.ask_again()
    end
    local buf = make_buffer(workspace, view)
    review = { buf = buf, view = view, summary = summary, shape = 1, drawn = true }
    reviews[workspace] = review
  elseif require('agentdiff.edit').active(review.buf) and not (review.writing and view.lines) then
    review.held = true
    require('agentdiff.edit').await_end(review)
    return panes.dress(review)
  elseif view.splices and not (review.drawn and view.base == review.view.token) then
    return M.ask_again()
  else
    render.fill(review.buf)
    if view.splices and render.is_short(review.buf) then
      return M.ask_again()
    end
    places = review.places or panes.remember(review)
    review.drawn, review.places = false, nil
    changed = render.draw(review.buf, view)
    review.shape = review.shape + (changed and 1 or 0)
    review.view, review.summary, review.held, review.drawn = view, summary, nil, true
    panes.put_back(review, places)
  end
  vim.b[review.buf].agentdiff_status = vim.g.agentdiff_status
  if view.file then
    -- The first screen is on its way before the rest is read, and all of it before it is folded.
    require('agentdiff.gate').soon(function()
      if reviews[workspace] == review and render.fill(review.buf) then
        vim.defer_fn(function()
          if reviews[workspace] == review and review.view == view then
            panes.refold(review, places)
            if review.awaited == review.left then
              panes.come_back(review)
            end
          end
        end, 1)
      end
    end)
  elseif changed then
    panes.refold(review, places)
  end
  panes.dress(review)
end

--- Asks for the whole view: what came fits nothing that is here.
function M.ask_again()
  require('agentdiff.rpc').send('refresh', { full = true })
end

--- Closes the review and gives the window back what it showed before; a float goes first.
function M.close()
  if require('agentdiff.float').close() then
    return
  end
  local review = of_buffer(api.nvim_get_current_buf())
  if not review then
    return
  end
  local from = vim.w.agentdiff_review or {}
  local grounded = vim.tbl_filter(function(win)
    return api.nvim_win_get_config(win).relative == ''
  end, api.nvim_list_wins())
  local before = from.previous or -1
  if not api.nvim_buf_is_valid(before) or before == review.buf then
    from.opened = true -- the user's own window, perhaps a split of ours
    before = vim.fn.bufnr('#')
  end
  if from.opened and #grounded > 1 then
    api.nvim_win_close(0, false)
  else
    -- That of a window in which one closes the review was about the review.
    vim.wo[0][0].winfixbuf = false
    local kept = before > 0 and before ~= review.buf
    api.nvim_win_set_buf(0, kept and before or api.nvim_create_buf(true, false))
    panes.give_back_alternate(api.nvim_get_current_win(), review.buf)
    vim.w.agentdiff_review = nil
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
    panes.dress(review)
  end
end

return M
