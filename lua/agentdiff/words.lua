--- Which parts of changed lines changed: for emphasis on lines that are being shown. Must not touch
--- buffers, and never feeds a decision.
local M = {}

local MAX_LINE = 500 -- bytes; longer lines are rarely read word by word
local MAX_PAIRED = 40 -- lines; larger blocks are not aligned

---@alias agentdiff.Span {[1]: integer, [2]: integer} 0-based byte columns, half-open

--- Returns the words of a line, and after them its single other characters.
---@param line string
---@return string[] words
---@return integer[] starts 0-based byte column of each, and one past the last
local function split(line)
  local words, starts, at = {}, {}, 1
  while at <= #line do
    local word = line:match('^[%w_\128-\255]+', at) or line:match('^%s+', at) or line:sub(at, at)
    words[#words + 1] = word
    starts[#starts + 1] = at - 1
    at = at + #word
  end
  starts[#starts + 1] = #line
  return words, starts
end

---@param starts integer[]
---@param first integer 1-based word
---@param count integer
---@param spans agentdiff.Span[]
local function add(starts, first, count, spans)
  if count == 0 then
    return
  end
  local from, to = starts[first], starts[first + count]
  local last = spans[#spans]
  -- One space between two changed words does not interrupt the emphasis.
  if last and from - last[2] <= 1 then
    last[2] = to
  else
    spans[#spans + 1] = { from, to }
  end
end

--- Compares two lines word by word.
---@param old string
---@param new string
---@return agentdiff.Span[]? of the old line; nil when too little is common to be worth showing
---@return agentdiff.Span[]? of the new line
function M.compare(old, new)
  if #old > MAX_LINE or #new > MAX_LINE or old == new then
    return nil
  end
  local a, a_starts = split(old)
  local b, b_starts = split(new)
  local hunks = require('agentdiff.lines').blocks(a, b)
  local old_spans, new_spans = {}, {}
  local changed = 0
  for _, hunk in ipairs(hunks) do
    add(a_starts, hunk[1], hunk[2], old_spans)
    add(b_starts, hunk[3], hunk[4], new_spans)
  end
  for _, span in ipairs(old_spans) do
    changed = changed + span[2] - span[1]
  end
  for _, span in ipairs(new_spans) do
    changed = changed + span[2] - span[1]
  end
  if changed > 0.7 * (#vim.trim(old) + #vim.trim(new)) then
    return nil
  end
  return old_spans, new_spans
end

--- Says which line of a block became which: one to one when both have as many, else by likeness.
---@param old string[]
---@param new string[]
---@return agentdiff.Span[] pairs of 1-based indices, in order
function M.pair(old, new)
  local pairs_ = {}
  if #old == #new then
    for i = 1, #old do
      pairs_[i] = { i, i }
    end
    return pairs_
  end
  if #old == 0 or #new == 0 or #old > MAX_PAIRED or #new > MAX_PAIRED then
    return pairs_
  end
  local hunks = require('agentdiff.lines').blocks(old, new, { linematch = MAX_PAIRED * 2 })
  for _, hunk in ipairs(hunks) do
    if hunk[2] == hunk[4] then
      for i = 0, hunk[2] - 1 do
        pairs_[#pairs_ + 1] = { hunk[1] + i, hunk[3] + i }
      end
    end
  end
  return pairs_
end

return M
