--- Hunks inside file buffers: which are shown, and where they are now. Must not decide anything.
---
--- Positions come from the file on disk. In an unmodified buffer they are those of the buffer, and
--- from then on the extmarks follow the user's edits. Many hunks are drawn when they come into
--- sight; an edit before that gives each of them its extmark at once.
local M = {}

local api = vim.api
local marks = require('agentdiff.marks')
local sight = require('agentdiff.sight')
local ns = api.nvim_create_namespace('agentdiff.inline')
local FEW = 200 -- so many hunks are drawn whether they are in sight or not
local AT_ONCE = 500 -- of those in sight: a closed fold may hide any number

---@class agentdiff.Place
---@field hunk agentdiff.InlineHunk
---@field first integer 1-based
---@field last integer inclusive

---@class agentdiff.InlineState
---@field view agentdiff.InlineView
---@field first integer[] 0-based row of each hunk when it was drawn
---@field last integer[]
---@field marks table<integer, integer> index of a hunk → its extmark
---@field hunk_of table<integer, integer> extmark → index
---@field words table<integer, table<integer, agentdiff.Span[]>> by index, of the text at `tick`
---@field tick integer
---@field placed integer how many hunks have an extmark; `marks` has holes, so `#` tells nothing
---@field drawn boolean? the drawing was not broken off by an error
---@field hidden boolean? nothing is drawn while a vimdiff shows the same
---@field diffed boolean? a window with 'diff' shows the buffer: virtual lines would shift it
---@field revealing boolean? what came into sight is about to be drawn
---@field owners boolean? owners stand at the end of the hunks' first lines

local state = {} ---@type table<integer, agentdiff.InlineState>
local attached = {} ---@type table<integer, boolean> buffers whose changes `on_lines` is told
local enabled ---@type boolean?
local draw

local function options()
  return require('agentdiff.config').get().inline
end

local function is_enabled()
  if enabled == nil then
    enabled = options().enabled
  end
  return enabled
end

---@param buf integer
---@param known agentdiff.InlineState
---@param index integer
---@param shift integer? how far the text has moved since
---@param opts table
local function place(buf, known, index, shift, opts)
  local hunk = known.view.hunks[index]
  local first, last = known.first[index] + (shift or 0), known.last[index] + (shift or 0)
  local id
  if is_enabled() and not known.hidden and known.view.status == 'deleted' then
    id = marks.gone(buf, ns, known.view, last, opts)
  elseif is_enabled() and not known.hidden then
    id = marks.place(buf, ns, hunk, first, last, opts)
  else
    id = marks.anchor(buf, ns, first, last, hunk.added > 0)
  end
  known.marks[index] = id
  known.hunk_of[id] = index
  known.placed = known.placed + 1
end

---@param known agentdiff.InlineState
local function mark_options(known)
  local opts = options()
  local owner = known.owners
  if owner == nil then
    owner = opts.owner
  end
  local note = require('agentdiff.coverage').note(known.view.coverage)
  local deleted = opts.deleted and not known.diffed
  return vim.tbl_extend('force', opts, { owner = owner, note = note, deleted = deleted })
end

--- Draws what a window shows, and a window's height around it, as far as it is not drawn yet; the
--- next drawing goes on where there is too much.
---@param win integer
function M.reveal(win)
  local buf = api.nvim_win_get_buf(win)
  local known = state[buf]
  if not known or known.placed == #known.first then
    return
  end
  local opts, top, bottom = mark_options(known), sight.around(win)
  for _, index in ipairs(sight.bare(known, top, bottom, AT_ONCE)) do
    place(buf, known, index, 0, opts)
  end
end

--- Gives every hunk its extmark before text that lies around it moves on.
local function on_lines(_, buf, _, _, last, new_last)
  local known = state[buf]
  if not known or known.placed == #known.first then
    attached[buf] = nil
    return true -- no more is to be told
  end
  local opts = mark_options(known)
  for index = 1, #known.first do
    if not known.marks[index] then
      place(buf, known, index, known.first[index] >= last and new_last - last or 0, opts)
    end
  end
  attached[buf] = nil
  return true
end

--- Listens to the changes of a buffer, once however often it is drawn.
---@param buf integer
local function attach(buf)
  if not attached[buf] then
    attached[buf] = api.nvim_buf_attach(buf, false, {
      on_lines = on_lines,
      on_detach = function()
        attached[buf] = nil
      end,
    })
  end
end

---@param buf integer
---@param known agentdiff.InlineState
local function locate(buf, known)
  known.first, known.last = {}, {}
  if known.view.status == 'deleted' then
    -- The buffer still has the lines.
    for i in ipairs(known.view.hunks) do
      known.first[i], known.last[i] = 0, api.nvim_buf_line_count(buf) - 1
    end
    return
  end
  local at = require('agentdiff.linemap').of(buf).to_buffer
  for i, hunk in ipairs(known.view.hunks) do
    local first = at(math.max(1, hunk.start)) - 1
    known.first[i] = first
    known.last[i] = hunk.added > 0 and math.max(first, at(hunk.start + hunk.added - 1) - 1) or first
  end
end

function draw(buf)
  local known = state[buf]
  api.nvim_buf_clear_namespace(buf, ns, 0, -1)
  known.marks, known.hunk_of, known.words, known.placed, known.drawn = {}, {}, {}, 0, false
  known.diffed = sight.is_diffed(buf)
  locate(buf, known)
  if #known.first <= FEW then
    local opts = mark_options(known)
    for index = 1, #known.first do
      place(buf, known, index, 0, opts)
    end
  else
    for _, win in ipairs(vim.fn.win_findbuf(buf)) do
      M.reveal(win)
    end
    attach(buf)
  end
  require('agentdiff.cursor').drawn(buf)
  known.drawn = true
end

--- Takes the hunks of a buffer's file and draws them.
---@param buf integer
---@param view agentdiff.InlineView
---@param moved boolean? whether the text was replaced meanwhile
function M.set(buf, view, moved)
  local known = state[buf]
  -- Unchanged hunks keep their marks, which know about the user's edits meanwhile.
  local same = known and known.view.moved_to == view.moved_to and known.view.hunks == view.hunks
  same = same and known.view.coverage == view.coverage
  if known and same and known.drawn and not moved then
    known.view = view
    return
  end
  state[buf] = {
    view = view,
    first = {},
    last = {},
    marks = {},
    hunk_of = {},
    words = {},
    placed = 0,
    drawn = not known and #view.hunks == 0,
    tick = 0,
    hidden = known and known.hidden,
    owners = known and known.owners,
  }
  if known or #view.hunks > 0 then
    draw(buf)
  end
end

--- Draws again what is known, after the text was replaced.
---@param buf integer
function M.redraw(buf)
  if state[buf] then
    draw(buf)
  end
end

--- Hides the drawing in one buffer, or shows it again: virtual lines would shift a vimdiff's
--- alignment.
---@param buf integer
---@param hidden boolean
function M.hide(buf, hidden)
  if state[buf] then
    state[buf].hidden = hidden
    draw(buf)
  end
end

---@param buf integer
function M.forget(buf)
  state[buf] = nil
end

--- Returns what is drawn in a buffer.
---@param buf integer
---@return agentdiff.InlineView?
function M.view(buf)
  return state[buf] and state[buf].view
end

---@param buf integer
---@param known agentdiff.InlineState
---@param index integer
---@return agentdiff.Place
local function place_of(buf, known, index)
  local hunk = known.view.hunks[index]
  local id = known.marks[index]
  local first, last = known.first[index] + 1, known.last[index] + 1
  if id then
    local at = api.nvim_buf_get_extmark_by_id(buf, ns, id, { details = true })
    first = (at[1] or 0) + 1
    local lines = hunk.added > 0 or known.view.status == 'deleted'
    last = lines and (at[3] or {}).end_row or first
  end
  -- What stood at the end may have been deleted: its extmark is then below the last line.
  local bottom = math.max(1, api.nvim_buf_line_count(buf))
  first = math.min(first, bottom)
  return { hunk = hunk, first = first, last = math.max(first, math.min(last, bottom)) }
end

--- Returns the hunks where they are now, after the user's edits.
---@param buf integer
---@return agentdiff.Place[]
function M.positions(buf)
  local out = {}
  local known = state[buf]
  for index in ipairs(known and known.view.hunks or {}) do
    out[index] = place_of(buf, known, index)
  end
  return out
end

--- Returns the hunk at a line, and which of how many it is. One with lines goes before a deletion
--- that merely borders.
---@param buf integer
---@param line integer 1-based
---@return agentdiff.Place?
---@return integer? index
---@return integer total
function M.at(buf, line)
  local known = state[buf]
  if not known then
    return nil, nil, 0
  end
  local total, best = #known.view.hunks, nil
  local range = { { line - 1, 0 }, { line - 1, -1 }, { overlap = true } }
  for _, found in ipairs(api.nvim_buf_get_extmarks(buf, ns, unpack(range))) do
    local index = known.hunk_of[found[1]]
    if index then
      local there = place_of(buf, known, index)
      if line <= there.last and (not best or there.hunk.added > 0) then
        best = index
      end
    end
  end
  if not best then
    return nil, nil, total
  end
  return place_of(buf, known, best), best, total
end

--- Returns the ids of the hunks that touch the lines, as they are now.
---@param buf integer
---@param first integer 1-based
---@param last integer inclusive
---@return integer[]
function M.ids_between(buf, first, last)
  local ids = {}
  for _, at in ipairs(M.positions(buf)) do
    if first <= at.last and last >= at.first then
      ids[#ids + 1] = at.hunk.id
    end
  end
  return ids
end

--- Switches the drawing in file buffers on or off.
---@param on boolean? toggles when nil
---@return boolean enabled
function M.toggle(on)
  if on == nil then
    on = not is_enabled()
  end
  enabled = on
  for buf in pairs(state) do
    if api.nvim_buf_is_loaded(buf) then
      draw(buf)
    else
      state[buf] = nil -- `:noautocmd` let nobody know of its end
    end
  end
  return enabled
end

--- Shows the owner of each hunk at the end of its first line, or hides them again.
---@param buf integer
function M.toggle_owners(buf)
  local known = state[buf]
  if known then
    known.owners = not mark_options(known).owner
    draw(buf)
  end
end

--- Whether hunks are drawn in a buffer at the moment.
---@param buf integer
---@return boolean
function M.shown(buf)
  return state[buf] ~= nil and not state[buf].hidden and is_enabled()
end

--- Draws soon what came into sight without scrolling: a fold was opened.
---@param win integer
---@param known agentdiff.InlineState
---@param top integer 0-based row
---@param bottom integer inclusive
local function reveal_soon(win, known, top, bottom)
  local all = known.revealing or known.placed == #known.first
  if all or #sight.bare(known, top, bottom, 1) == 0 then
    return
  end
  known.revealing = true
  vim.schedule(function()
    if api.nvim_win_is_valid(win) then
      M.reveal(win)
    end
    known.revealing = nil -- not after an error: each drawing would repeat it
  end)
end

local function on_win(_, win, buf, top, bottom)
  local known = state[buf]
  if not known then
    return false
  end
  reveal_soon(win, known, top, bottom)
  local opts = options()
  if not known.hidden and is_enabled() and opts.words then
    local rows = { top = top, bottom = bottom }
    require('agentdiff.emphasis').draw(buf, ns, known, rows, function(index)
      return place_of(buf, known, index)
    end, opts.priority)
  end
  return false
end

api.nvim_set_decoration_provider(ns, { on_win = on_win })

sight.on_diffs(function()
  for buf, known in pairs(state) do
    if api.nvim_buf_is_loaded(buf) and known.diffed ~= sight.is_diffed(buf) then
      draw(buf)
    end
  end
end)

return M
