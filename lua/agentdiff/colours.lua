--- The colours of the language and of changed words in the review buffer, for hunks that are seen.
---
--- Each side of a hunk is parsed as a text of its own: what is shown of it, nothing else, and only
--- in pieces, a few milliseconds at a time between two keys. The marks stay with their text.
local M = {}

local api = vim.api
local ns = api.nvim_create_namespace('agentdiff.colours')
local PIECE = 120 -- rows
local BUDGET_NS = 3e6
local MAX_LINE = 1000 -- bytes; minified code has no colours
local SYNTAX, WORDS = 100, 110 -- priorities

---@class agentdiff.Piece
---@field id integer of the hunk
---@field number integer of the piece in its hunk, from 0

---@type table<integer, table<integer, table<integer, boolean>>> buffer → hunk → piece
local done = {}
local queue = {} ---@type table<integer, agentdiff.Piece[]>
local scheduled = false
local languages = {} ---@type table<string, string|false> by file name
local plain = {} ---@type table<string, boolean> languages whose query has failed

---@param path string
---@return string|false
local function language_of(path)
  if languages[path] == nil then
    local filetype = vim.filetype.match({ filename = path })
    local lang = filetype and (vim.treesitter.language.get_lang(filetype) or filetype)
    -- 0.10 raises for a missing parser, later versions return the reason.
    local ok, _, problem = pcall(vim.treesitter.language.add, lang or '')
    languages[path] = lang and ok and not problem and lang or false
  end
  return languages[path]
end

---@param lang string
---@return vim.treesitter.Query?
local function query_of(lang)
  -- A query that does not fit its parser raises; such a language has no colours.
  local ok, query = pcall(vim.treesitter.query.get, lang, 'highlights')
  return not plain[lang] and ok and query or nil
end

--- Returns what a query finds in a tree: name, and first row, column, last row, column.
---@param query vim.treesitter.Query
---@param root TSNode
---@param source string
---@return {[1]: string, [2]: integer, [3]: integer, [4]: integer, [5]: integer}[]
local function captures(query, root, source)
  local found = {}
  for id, node in query:iter_captures(root, source, 0, -1) do
    local name = query.captures[id]
    if not name:match('^_') and not name:match('spell$') and name ~= 'conceal' then
      found[#found + 1] = { name, node:range() }
    end
  end
  return found
end

---@param buf integer
---@param row integer
---@param from integer byte column of the line without its mark
---@param to integer
---@param group string
---@param priority integer
local function mark(buf, row, from, to, group, priority)
  api.nvim_buf_set_extmark(buf, ns, row, from + 1, {
    end_col = to + 1,
    hl_group = group,
    priority = priority,
    strict = false,
  })
end

--- One side of a piece: its text, and the buffer's row of each of its lines.
---@param kinds string letters of the piece
---@param lines string[]
---@param first integer
---@param wanted string pattern of letters
local function side(kinds, lines, first, wanted)
  local text, rows = {}, {}
  for i = 1, #lines do
    if kinds:sub(i, i):match(wanted) then
      text[#text + 1] = #lines[i] <= MAX_LINE and lines[i]:sub(2) or ''
      rows[#rows + 1] = first + i - 1
    end
  end
  return text, rows
end

---@param buf integer
---@param lang string
---@param text string[]
---@param rows integer[]
---@param shows fun(row: integer): boolean whether this side colours a row
local function syntax(buf, lang, text, rows, shows)
  local source = require('agentdiff.lines').text(text)
  -- An injected language may lack its parser or have a broken query: that one stays plain.
  local ok, parser = pcall(vim.treesitter.get_string_parser, source, lang)
  if not ok or not pcall(parser.parse, parser, true) then
    return
  end
  parser:for_each_tree(function(tree, language_tree)
    local query = query_of(language_tree:lang())
    if not query then
      return
    end
    -- A predicate that nobody has registered raises while it is asked: once is enough.
    local fine, found = pcall(captures, query, tree:root(), source)
    if not fine then
      plain[language_tree:lang()] = true
      return
    end
    for _, capture in ipairs(found) do
      local name, top, left, bottom, right = unpack(capture)
      for line = top, math.min(bottom, #rows - 1) do
        local from, to = line == top and left or 0, line == bottom and right or #text[line + 1]
        if to > from and shows(rows[line + 1]) then
          mark(buf, rows[line + 1], from, to, ('@%s.%s'):format(name, lang), SYNTAX)
        end
      end
    end
  end)
end

--- Emphasises the words that changed: of the added rows of a piece, and of those they replace.
---@param buf integer
---@param kinds string of the whole hunk
---@param start integer row of the hunk
---@param low integer first row of the piece
---@param high integer one past its last row
local function words(buf, kinds, start, low, high)
  local compare = require('agentdiff.words')
  local at = 1
  while true do
    local d0, d1 = kinds:find('d+', at)
    local a0, a1 = kinds:find('^n?a+', (d1 or 0) + 1)
    if not d0 then
      return
    end
    at = (a1 or d1) + 1
    if a0 and start + a1 > low and start + d0 - 1 < high then
      a0 = kinds:find('a', a0, true)
      local old = api.nvim_buf_get_lines(buf, start + d0 - 1, start + d1, false)
      local new = api.nvim_buf_get_lines(buf, start + a0 - 1, start + a1, false)
      for _, pair in ipairs(compare.pair(old, new)) do
        local old_row, new_row = start + d0 + pair[1] - 2, start + a0 + pair[2] - 2
        if (new_row >= low and new_row < high) or (old_row >= low and old_row < high) then
          local from, to = compare.compare(old[pair[1]]:sub(2), new[pair[2]]:sub(2))
          for _, span in ipairs(old_row >= low and old_row < high and from or {}) do
            mark(buf, old_row, span[1], span[2], 'AgentDiffDeletedWord', WORDS)
          end
          for _, span in ipairs(new_row >= low and new_row < high and to or {}) do
            mark(buf, new_row, span[1], span[2], 'AgentDiffAddedWord', WORDS)
          end
        end
      end
    end
  end
end

---@param buf integer
---@param view agentdiff.ReviewView
---@param i integer
---@param number integer
local function colour(buf, view, i, number)
  local start, count = view.hunks.row[i], view.hunks.rows[i]
  local low = start + number * PIECE
  local high = math.min(low + PIECE, start + count)
  api.nvim_buf_clear_namespace(buf, ns, low, high)
  local lines = api.nvim_buf_get_lines(buf, low, high, false)
  local kinds = view.kinds:sub(low + 1, high)
  local lang = language_of(view.files[view.hunks.file[i] + 1].path)
  if lang then
    local text, rows = side(kinds, lines, low, '[ca]')
    syntax(buf, lang, text, rows, function()
      return true
    end)
    if kinds:find('d', 1, true) then
      text, rows = side(kinds, lines, low, '[cd]')
      syntax(buf, lang, text, rows, function(row)
        return view.kinds:sub(row + 1, row + 1) == 'd'
      end)
    end
  end
  words(buf, view.kinds:sub(start + 1, start + count), start, low, high)
end

---@param buf integer
---@param piece agentdiff.Piece
local function work_on(buf, piece)
  local view = require('agentdiff.render').view(buf)
  if not view or vim.bo[buf].modified then
    return
  end
  for i, id in ipairs(view.hunks.id) do
    if id == piece.id then
      local within = piece.number * PIECE < view.hunks.rows[i]
      if within and view.hunks.row[i] + view.hunks.rows[i] <= api.nvim_buf_line_count(buf) then
        colour(buf, view, i, piece.number)
      end
      return
    end
  end
end

local function work()
  scheduled = false
  local deadline = vim.uv.hrtime() + BUDGET_NS
  for buf, pieces in pairs(queue) do
    while #pieces > 0 do
      if vim.uv.hrtime() > deadline then
        scheduled = true
        vim.defer_fn(work, 1)
        return
      end
      local piece = table.remove(pieces, 1)
      if api.nvim_buf_is_loaded(buf) then
        work_on(buf, piece)
      end
    end
    queue[buf] = nil
  end
end

--- Asks for the colours of some rows; they come a moment later.
---@param buf integer
---@param view agentdiff.ReviewView
---@param top integer 0-based row
---@param bottom integer inclusive
function M.want(buf, view, top, bottom)
  if require('agentdiff.view').is_unread(view) then
    -- The text is on the screen before a long index is decoded.
    vim.schedule(function()
      if require('agentdiff.render').view(buf) == view then
        local _ = view.hunks
        M.want(buf, view, top, bottom)
      end
    end)
    return
  end
  local known = done[buf] or {}
  done[buf] = known
  local first, last = require('agentdiff.view').hunks_between(view, top, bottom)
  for i = first, last do
    local id, row = view.hunks.id[i], view.hunks.row[i]
    local pieces = known[id] or {}
    known[id] = pieces
    local from = math.max(0, math.floor((top - row) / PIECE))
    local to = math.floor((math.min(bottom, row + view.hunks.rows[i] - 1) - row) / PIECE)
    for number = from, to do
      if not pieces[number] then
        pieces[number] = true
        queue[buf] = queue[buf] or {}
        table.insert(queue[buf], { id = id, number = number })
      end
    end
  end
  if queue[buf] and not scheduled then
    scheduled = true
    vim.schedule(work)
  end
end

--- Takes the colours of rows away, before they are replaced.
---@param buf integer
---@param first integer
---@param last integer exclusive
function M.clear(buf, first, last)
  api.nvim_buf_clear_namespace(buf, ns, first, last)
end

--- Has the hunks in changed rows coloured again when they are seen next.
---@param buf integer
---@param view agentdiff.ReviewView
---@param ranges {[1]: integer, [2]: integer}[]? of rows, half-open; nil for all
function M.changed(buf, view, ranges)
  if not ranges then
    done[buf] = nil
    return
  end
  local known = done[buf]
  for _, range in ipairs(known and ranges or {}) do
    local first, last =
      require('agentdiff.view').hunks_between(view, range[1], math.max(range[1], range[2] - 1))
    for i = first, last do
      known[view.hunks.id[i]] = nil
    end
  end
end

---@param buf integer
function M.forget(buf)
  done[buf], queue[buf] = nil, nil
end

return M
