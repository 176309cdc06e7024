--- Where things are in a review view: rows, hunks, files, headings. Must not touch buffers.
---
--- Rows count from 0; indices into the view's lists from 1, as Lua does.
local M = {}

local INDEXED = { groups = true, files = true, hunks = true }
local NOTHING = '{"groups":[],"files":[],"hunks":{"id":[],"row":[],"rows":[],"file":[],"new":[]}}'
local LONG = 20000 -- bytes of an index; decoding a longer one takes a good part of a millisecond

--- Reads what a long review has in a file of its own: the letters of its rows, and its index, which
--- is not looked at yet.
---@param view agentdiff.ReviewView
function M.read(view)
  local path = view.index_file
  if not path then
    return
  end
  rawset(view, 'index_file', nil)
  local file = io.open(path, 'rb')
  if not file then
    -- Somebody cleaned the folder: nothing can be decided until it is sent again.
    view.index = NOTHING
    require('agentdiff.review').ask_again()
    return
  end
  view.kinds, view.index = file:read('*l'), file:read('*a')
  file:close()
  vim.uv.fs_unlink(path, function() end)
end

-- A first screen needs none of it: a long review is seen before its index is read.
local lazy = {
  __index = function(view, name)
    if INDEXED[name] then
      M.read(view)
      for key, value in pairs(vim.json.decode(view.index, { luanil = { object = true } })) do
        rawset(view, key, value)
      end
      return rawget(view, name)
    end
  end,
}

--- Whether looking for a hunk would first decode a long index.
---@param view agentdiff.ReviewView
---@return boolean
function M.is_unread(view)
  return rawget(view, 'hunks') == nil and (view.index_file ~= nil or #view.index > LONG)
end

--- Makes a view of what Python sent.
---@param payload table
---@return agentdiff.ReviewView
function M.new(payload)
  return setmetatable(payload, lazy)
end

--- Returns the last index whose row is at or above `row`, 0 when there is none.
---@param count integer
---@param row_of fun(i: integer): integer
---@param row integer
---@return integer
local function last_above(count, row_of, row)
  local low, high = 0, count
  while low < high do
    local mid = math.ceil((low + high) / 2)
    if row_of(mid) <= row then
      low = mid
    else
      high = mid - 1
    end
  end
  return low
end

---@param view agentdiff.ReviewView
---@param row integer
---@return integer? index of the hunk that the row belongs to
function M.hunk_at(view, row)
  local hunks = view.hunks
  local i = last_above(#hunks.row, function(n)
    return hunks.row[n]
  end, row)
  if i > 0 and row < hunks.row[i] + hunks.rows[i] then
    return i
  end
end

--- Returns the hunks that show in some rows.
---@param view agentdiff.ReviewView
---@param top integer
---@param bottom integer inclusive
---@return integer first
---@return integer last less than `first` when there is none
function M.hunks_between(view, top, bottom)
  local function row_of(n)
    return view.hunks.row[n]
  end
  local count = #view.hunks.row
  local first = math.max(1, last_above(count, row_of, top))
  return first, last_above(count, row_of, bottom)
end

---@param list {row: integer}[]
---@param row integer
---@return integer? index
local function entry_at(list, row)
  local i = last_above(#list, function(n)
    return list[n].row
  end, row)
  return i > 0 and i or nil
end

---@param view agentdiff.ReviewView
---@param row integer
---@return agentdiff.ReviewFile?
function M.file_at(view, row)
  local i = entry_at(view.files, row)
  return i and view.kinds:sub(row + 1, row + 1) ~= 't' and view.files[i] or nil
end

---@param view agentdiff.ReviewView
---@param row integer
---@return agentdiff.ReviewGroup?
function M.group_at(view, row)
  local i = entry_at(view.groups, row)
  return i and view.groups[i]
end

--- Returns what names a group in every version of the view.
---@param group agentdiff.ReviewGroup?
---@return string
function M.group_key(group)
  if not group then
    return ''
  end
  local parts = {}
  for _, name in ipairs({ 'kind', 'agent', 'session', 'turn' }) do
    parts[#parts + 1] = type(group[name]) == 'string' and group[name] or ''
  end
  return table.concat(parts, '\0')
end

--- Returns what names a file under its heading in every version of the view.
---@param view agentdiff.ReviewView
---@param file agentdiff.ReviewFile
---@return string
function M.file_key(view, file)
  return M.group_key(view.groups[file.group + 1]) .. '\1' .. (file.path_b64 or file.path)
end

--- Returns the row of a hunk's first changed line: the context above it may grow and shrink with
--- its neighbours.
---@param view agentdiff.ReviewView
---@param i integer
---@return integer
function M.body(view, i)
  local row, rows = view.hunks.row[i], view.hunks.rows[i]
  local at = view.kinds:sub(row + 1, row + rows):find('[dam]')
  return at and row + at - 1 or row
end

--- Returns the 1-based line of the file that a row shows or stands above.
---@param view agentdiff.ReviewView
---@param row integer
---@return integer? nil where no line is meant
function M.lnum(view, row)
  local i = M.hunk_at(view, row)
  if not i or view.hunks.new[i] == 0 then
    return nil
  end
  local first = view.hunks.row[i]
  if row == first then
    row = M.body(view, i)
  end
  local _, above = view.kinds:sub(first + 1, row):gsub('[ca]', '')
  return math.max(1, view.hunks.new[i] + above)
end

---@class agentdiff.Anchor
---@field view agentdiff.ReviewView
---@field row integer
---@field hunk integer?
---@field offset integer rows below the hunk's body, or below the heading
---@field file string? key
---@field group string? key of the heading that the row is, or is right below

--- Says where a row is in terms that survive a refresh.
---@param view agentdiff.ReviewView
---@param row integer
---@return agentdiff.Anchor
function M.anchor(view, row)
  local i = M.hunk_at(view, row)
  local file = M.file_at(view, row)
  local group = M.group_at(view, row)
  local origin = i and M.body(view, i) or file and file.row or group and group.row or 0
  return {
    view = view,
    row = row,
    hunk = i,
    offset = row - origin,
    file = file and M.file_key(view, file),
    group = group and M.group_key(group),
  }
end

---@param view agentdiff.ReviewView
---@return table<integer, integer> index of each hunk by id
local function by_id(view)
  local out = {}
  for i, id in ipairs(view.hunks.id) do
    out[id] = i
  end
  return out
end

--- Returns the row of an anchor in a newer view: the same hunk, else the one that followed it.
---@param view agentdiff.ReviewView
---@param at agentdiff.Anchor
---@return integer
function M.find(view, at)
  local old = at.view
  local places = by_id(view)
  local same = at.hunk and places[old.hunks.id[at.hunk]]
  if same then
    local first = view.hunks.row[same]
    local row = M.body(view, same) + at.offset
    return math.max(first, math.min(row, first + view.hunks.rows[same] - 1))
  end
  if not at.hunk then
    for _, file in ipairs(at.file and view.files or {}) do
      if M.file_key(view, file) == at.file then
        return file.row + at.offset
      end
    end
    for _, group in ipairs(not at.file and view.groups or {}) do
      if M.group_key(group) == at.group then
        return group.row + at.offset
      end
    end
  end
  for i, id in ipairs(old.hunks.id) do
    if old.hunks.row[i] >= at.row and places[id] then
      return view.hunks.row[places[id]]
    end
  end
  local count = #view.hunks.row
  if #old.hunks.row == 0 then
    return count > 0 and view.hunks.row[1] or 0
  end
  return at.hunk and count > 0 and view.hunks.row[count] or at.row
end

--- Whether a row of a newer view is what an anchor was on: its hunk, or its line below a heading.
---@param view agentdiff.ReviewView
---@param at agentdiff.Anchor
---@param row integer
---@return boolean
function M.is_at(view, at, row)
  local now = M.anchor(view, row)
  local before = at.hunk and at.view.hunks.id[at.hunk]
  local after = now.hunk and view.hunks.id[now.hunk]
  local hunk = before == after and now.offset == at.offset
  return hunk and now.file == at.file and now.group == at.group
end

--- Returns the row of the first hunk that another version of the view did not have.
---@param view agentdiff.ReviewView
---@param other agentdiff.ReviewView
---@return integer?
function M.first_new(view, other)
  local known = by_id(other)
  for i, id in ipairs(view.hunks.id) do
    if not known[id] then
      return view.hunks.row[i]
    end
  end
end

return M
