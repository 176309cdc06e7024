--- Hunks inside file buffers: signs, coloured lines, deleted lines as virtual lines. Must not
--- decide anything.
---
--- Positions come from the file on disk. In an unmodified buffer they are those of the buffer, and
--- from then on the extmarks follow the user's edits. A buffer that is modified when a view arrives
--- gets its lines through a diff of the disk's text with the buffer's: for placing marks only,
--- never for hunks.
local M = {}

local api = vim.api
local ns = api.nvim_create_namespace('agentdiff.inline')
local diff = vim.text and vim.text.diff or vim.diff

---@class agentdiff.Placed
---@field hunk agentdiff.InlineHunk
---@field mark integer extmark over the added lines, or at the line of a deletion

---@class agentdiff.InlineState
---@field view agentdiff.InlineView
---@field placed agentdiff.Placed[]
---@field hidden boolean? nothing is drawn while a vimdiff shows the same

local state = {} ---@type table<integer, agentdiff.InlineState>
local enabled ---@type boolean?

local function options()
  return require('agentdiff.config').get().inline
end

local function is_enabled()
  if enabled == nil then
    enabled = options().enabled
  end
  return enabled
end

--- Returns a function from 1-based lines of the disk to those of the buffer.
---@param buf integer
---@return fun(line: integer): integer
local function line_map(buf)
  local file = vim.bo[buf].modified and io.open(api.nvim_buf_get_name(buf), 'rb')
  if not file then
    return function(line)
      return line
    end
  end
  local disk = file:read('*a')
  file:close()
  if vim.bo[buf].fileformat == 'dos' then
    disk = disk:gsub('\r\n', '\n')
  end
  if not vim.tbl_contains({ '', 'utf-8' }, vim.bo[buf].fileencoding) then
    disk = vim.iconv(disk, vim.bo[buf].fileencoding, 'utf-8') or disk
  end
  local text = table.concat(api.nvim_buf_get_lines(buf, 0, -1, false), '\n') .. '\n'
  local blocks = diff(disk, text, { result_type = 'indices', algorithm = 'histogram' })
  return function(line)
    local shift = 0
    for _, block in ipairs(blocks) do
      local o, oc, n, nc = unpack(block)
      local first = oc > 0 and o or o + 1
      if line < first then
        break
      elseif line < first + oc then
        return math.max(1, nc > 0 and math.min(n + line - first, n + nc - 1) or n)
      end
      shift = shift + nc - oc
    end
    return line + shift
  end
end

---@param buf integer
---@param row integer 0-based
---@param opts table
---@return integer
local function mark(buf, row, opts)
  opts.priority = options().priority
  -- A view may be older than the text by one refresh.
  local last = api.nvim_buf_line_count(buf) - 1
  row = math.max(0, math.min(row, last))
  if opts.end_row and opts.end_row > last + 1 then
    opts.end_row = last + 1
  end
  opts.strict = false
  return api.nvim_buf_set_extmark(buf, ns, row, 0, opts)
end

---@param hunk agentdiff.InlineHunk
local function virtual_lines(hunk)
  local width = math.max(vim.o.columns, 200)
  return vim.tbl_map(function(text)
    text = text:gsub('\t', (' '):rep(vim.bo.tabstop))
    -- Padded, so that the colour reaches the edge as it does for real lines.
    local pad = (' '):rep(math.max(0, width - vim.fn.strdisplaywidth(text)))
    return { { text .. pad, 'AgentDiffInlineDeleted' } }
  end, hunk.deleted)
end

---@param buf integer
---@param hunk agentdiff.InlineHunk
---@param at fun(line: integer): integer
local function place_added(buf, hunk, at)
  local opts = options()
  local first = at(hunk.start) - 1
  local last = at(hunk.start + hunk.added - 1) - 1
  local changed = hunk.removed > 0
  for row = first, math.max(first, last) do
    mark(buf, row, {
      sign_text = opts.signs and (changed and opts.sign_change or opts.sign_add) or nil,
      sign_hl_group = changed and 'AgentDiffSignChange' or 'AgentDiffSignAdd',
    })
  end
  return mark(buf, first, {
    end_row = math.max(first, last) + 1,
    hl_group = changed and 'AgentDiffInlineChanged' or 'AgentDiffInlineAdded',
    hl_eol = true,
    virt_lines = opts.deleted and changed and virtual_lines(hunk) or nil,
    virt_lines_above = true,
  })
end

---@param buf integer
---@param hunk agentdiff.InlineHunk
---@param at fun(line: integer): integer
local function place_deleted(buf, hunk, at)
  local opts = options()
  local top = hunk.start == 0
  return mark(buf, top and 0 or at(hunk.start) - 1, {
    sign_text = opts.signs and (top and opts.sign_topdelete or opts.sign_delete) or nil,
    sign_hl_group = 'AgentDiffSignDelete',
    virt_lines = opts.deleted and #hunk.deleted > 0 and virtual_lines(hunk) or nil,
    virt_lines_above = top,
  })
end

--- Makes virtual lines above line 1 visible in windows that show the top: Neovim does not scroll to
--- them.
---@param buf integer
function M.show_top(buf)
  local placed = state[buf] and state[buf].placed[1]
  if not placed or state[buf].hidden or not is_enabled() or not options().deleted then
    return
  end
  local hunk = placed.hunk
  local above = hunk.start <= 1 and #hunk.deleted or 0
  if above == 0 or (hunk.start == 1 and hunk.added == 0) then
    return
  end
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    api.nvim_win_call(win, function()
      if vim.fn.line('w0') == 1 then
        vim.fn.winrestview({ topline = 1, topfill = math.min(above, vim.fn.winheight(0) - 1) })
      end
    end)
  end
end

---@param buf integer
local function draw(buf)
  local known = state[buf]
  api.nvim_buf_clear_namespace(buf, ns, 0, -1)
  known.placed = {}
  local at = line_map(buf)
  for i, hunk in ipairs(known.view.hunks) do
    if is_enabled() and not known.hidden then
      local place = hunk.added > 0 and place_added or place_deleted
      known.placed[i] = { hunk = hunk, mark = place(buf, hunk, at) }
    else
      known.placed[i] = { hunk = hunk, mark = mark(buf, at(math.max(1, hunk.start)) - 1, {}) }
    end
  end
  M.show_top(buf)
end

--- Takes the hunks of a buffer's file and draws them.
---@param buf integer
---@param view agentdiff.InlineView
function M.set(buf, view)
  local known = state[buf]
  local same = known and vim.deep_equal(known.view.hunks, view.hunks)
  state[buf] = {
    view = view,
    placed = known and known.placed or {},
    hidden = known and known.hidden,
  }
  -- Unchanged hunks keep their marks, which know about the user's edits meanwhile.
  if not same then
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

--- Returns the hunks where they are now, after the user's edits.
---@param buf integer
---@return {hunk: agentdiff.InlineHunk, first: integer, last: integer}[] 1-based, inclusive
function M.positions(buf)
  local out = {}
  for i, placed in ipairs(state[buf] and state[buf].placed or {}) do
    local at = api.nvim_buf_get_extmark_by_id(buf, ns, placed.mark, { details = true })
    local first = (at[1] or 0) + 1
    local last = placed.hunk.added > 0 and math.max(first, (at[3] or {}).end_row or first) or first
    out[i] = { hunk = placed.hunk, first = first, last = last }
  end
  return out
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
    draw(buf)
  end
  return enabled
end

return M
