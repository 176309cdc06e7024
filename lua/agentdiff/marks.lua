--- How one hunk looks in a file buffer: sign, coloured lines, deleted lines as virtual lines, words
--- that changed, owner and count. Must not know where hunks come from.
local M = {}

local api = vim.api
local MAX_VIRTUAL = 1000 -- lines; a window shows fewer, and more of them make redrawing slow
local ROOM = 200 -- columns that a virtual line's colour reaches at least

---@class agentdiff.MarkOptions
---@field deleted boolean
---@field line boolean
---@field note string? why the base is not exact
---@field number boolean
---@field owner boolean
---@field priority integer
---@field signs boolean
---@field sign_add string
---@field sign_change string
---@field sign_delete string
---@field sign_topdelete string
---@field words boolean

---@param buf integer
---@param ns integer
---@param row integer 0-based
---@param opts table
---@return integer
local function mark(buf, ns, row, opts)
  -- A view may be older than the text by one refresh.
  local last = api.nvim_buf_line_count(buf) - 1
  row = math.max(0, math.min(row, last))
  if opts.end_row then
    opts.end_row = math.max(row, math.min(opts.end_row, last + 1))
  end
  opts.strict = false
  return api.nvim_buf_set_extmark(buf, ns, row, 0, opts)
end

--- Cuts a line where the emphasis begins and ends, and expands its tabs.
---@param text string
---@param spans agentdiff.Span[]
---@param tabstop integer
---@return {[1]: string, [2]: string}[] chunks
---@return integer width
local function chunks_of(text, spans, tabstop)
  local chunks, width, at = {}, 0, 0
  local function add(to, group)
    if to <= at then
      return
    end
    local part = text:sub(at + 1, to)
    at = to
    local out = {}
    for piece, tab in part:gmatch('([^\t]*)(\t?)') do
      width = width + api.nvim_strwidth(piece)
      out[#out + 1] = piece
      if tab ~= '' then
        local fill = tabstop - width % tabstop
        width = width + fill
        out[#out + 1] = (' '):rep(fill)
      end
    end
    chunks[#chunks + 1] = { table.concat(out), group }
  end
  for _, span in ipairs(spans) do
    add(span[1], 'AgentDiffInlineDeleted')
    add(span[2], 'AgentDiffInlineDeletedWord')
  end
  add(#text, 'AgentDiffInlineDeleted')
  return chunks, width
end

--- Says which words changed in the lines of a hunk: spans by 1-based line on both sides.
---@param deleted string[]
---@param added string[]
---@return table<integer, agentdiff.Span[]> of deleted lines
---@return table<integer, agentdiff.Span[]> of added lines
function M.words(deleted, added)
  local old, new = {}, {}
  local words = require('agentdiff.words')
  for _, pair in ipairs(words.pair(deleted, added)) do
    old[pair[1]], new[pair[2]] = words.compare(deleted[pair[1]], added[pair[2]])
  end
  return old, new
end

---@param buf integer
---@param deleted string[]
---@param spans table<integer, agentdiff.Span[]>
---@return table[][]
local function virtual_lines(buf, deleted, spans)
  local room = math.max(vim.o.columns, ROOM)
  local tabstop = vim.bo[buf].tabstop
  local out = {}
  for i = 1, math.min(#deleted, MAX_VIRTUAL) do
    local chunks, width = chunks_of(deleted[i], spans[i] or {}, tabstop)
    -- Padded, so that the colour reaches the edge as it does for real lines.
    chunks[#chunks + 1] = { (' '):rep(math.max(0, room - width)), 'AgentDiffInlineDeleted' }
    out[i] = chunks
  end
  if #deleted > MAX_VIRTUAL then
    local more = ('… %d more deleted lines'):format(#deleted - MAX_VIRTUAL)
    out[#out + 1] = { { more, 'AgentDiffInlineDeleted' } }
  end
  return out
end

---@param hunk agentdiff.InlineHunk
---@param options agentdiff.MarkOptions
---@return string? text
---@return string group
local function sign(hunk, options)
  if hunk.added > 0 and hunk.removed > 0 then
    return options.sign_change, 'AgentDiffSignChange'
  elseif hunk.added > 0 then
    return options.sign_add, 'AgentDiffSignAdd'
  end
  return hunk.start == 0 and options.sign_topdelete or options.sign_delete, 'AgentDiffSignDelete'
end

---@param owner string
---@param options agentdiff.MarkOptions
---@return {[1]: string, [2]: string}[] chunks
local function owner_text(owner, options)
  local chunks = { { '  ' .. owner, 'AgentDiffOwner' } }
  if options.note then
    chunks[2] = { ('  [%s]'):format(options.note), 'AgentDiffStale' }
  end
  return chunks
end

--- Draws a hunk.
---@param buf integer
---@param ns integer
---@param hunk agentdiff.InlineHunk
---@param first integer 0-based row of its first added line, or of the line that a deletion is at
---@param last integer 0-based row of its last added line, inclusive
---@param options agentdiff.MarkOptions
---@return integer id of the extmark that stands for the hunk: it spans the added lines
function M.place(buf, ns, hunk, first, last, options)
  local lines = hunk.added > 0
  local text, group = sign(hunk, options)
  local changed = lines and hunk.removed > 0
  if options.signs or options.number then
    -- A sign of a range stands on each of its lines.
    mark(buf, ns, first, {
      end_row = lines and last or nil,
      sign_text = options.signs and text or nil,
      sign_hl_group = group,
      number_hl_group = options.number and group or nil,
      priority = options.priority,
    })
  end
  local virtual
  if options.deleted and #hunk.deleted > 0 then
    local spans = {}
    if changed and options.words and #hunk.deleted <= MAX_VIRTUAL then
      spans = M.words(hunk.deleted, api.nvim_buf_get_lines(buf, first, last + 1, false))
    end
    virtual = virtual_lines(buf, hunk.deleted, spans)
  end
  return mark(buf, ns, first, {
    end_row = lines and last + 1 or nil,
    hl_group = lines
        and options.line
        and (changed and 'AgentDiffInlineChanged' or 'AgentDiffInlineAdded')
      or nil,
    hl_eol = lines,
    virt_lines = virtual,
    virt_lines_above = lines or hunk.start == 0,
    virt_text = options.owner and owner_text(hunk.owner, options) or nil,
    virt_text_pos = options.owner and 'eol' or nil,
    priority = options.priority,
  })
end

--- Draws that the file of the buffer is gone, and where it went.
---@param buf integer
---@param ns integer
---@param view agentdiff.InlineView
---@param last integer 0-based row of the last line
---@param options agentdiff.MarkOptions
---@return integer id
function M.gone(buf, ns, view, last, options)
  local what = view.moved_to ~= '' and 'renamed to ' .. view.moved_to or 'deleted'
  return mark(buf, ns, 0, {
    virt_text = {
      { '  ' .. what, 'AgentDiffStale' },
      unpack(owner_text(view.hunks[1].owner, options)),
    },
    end_row = last + 1,
    hl_group = options.line and 'AgentDiffInlineDeleted' or nil,
    hl_eol = true,
    sign_text = options.signs and options.sign_delete or nil,
    sign_hl_group = 'AgentDiffSignDelete',
    priority = options.priority,
  })
end

--- Marks where a hunk is without drawing it.
---@param buf integer
---@param ns integer
---@param first integer
---@param last integer
---@param lines boolean whether it has lines of its own
---@return integer id
function M.anchor(buf, ns, first, last, lines)
  return mark(buf, ns, first, { end_row = lines and last + 1 or nil })
end

--- Colours the changed words of one line while it is drawn.
---@param buf integer
---@param ns integer
---@param row integer 0-based
---@param spans agentdiff.Span[]
---@param priority integer
function M.emphasize(buf, ns, row, spans, priority)
  for _, span in ipairs(spans) do
    api.nvim_buf_set_extmark(buf, ns, row, span[1], {
      ephemeral = true,
      end_row = row,
      end_col = span[2],
      hl_group = 'AgentDiffInlineAddedWord',
      priority = priority + 1,
      strict = false,
    })
  end
end

return M
