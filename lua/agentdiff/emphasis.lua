--- The words of a file's hunks that changed, emphasised in the rows that are being drawn. Must not
--- place anything that stays.
local M = {}

local api = vim.api
local marks = require('agentdiff.marks')

--- Returns the changed words of a hunk's lines, compared once per state of the text.
---@param buf integer
---@param known agentdiff.InlineState
---@param index integer
---@param there agentdiff.Place
---@return table<integer, agentdiff.Span[]>
local function words_of(buf, known, index, there)
  if not known.words[index] then
    local lines = api.nvim_buf_get_lines(buf, there.first - 1, there.last, false)
    known.words[index] = select(2, marks.words(there.hunk.deleted, lines))
  end
  return known.words[index]
end

---@class agentdiff.Rows
---@field top integer 0-based
---@field bottom integer inclusive

--- Emphasises the words of the hunks that show in some rows.
---@param buf integer
---@param ns integer of the hunks' extmarks
---@param known agentdiff.InlineState
---@param rows agentdiff.Rows
---@param place_of fun(index: integer): agentdiff.Place
---@param priority integer of the hunks
function M.draw(buf, ns, known, rows, place_of, priority)
  local tick = api.nvim_buf_get_changedtick(buf)
  if known.tick ~= tick then
    known.words, known.tick = {}, tick
  end
  local range = { { rows.top, 0 }, { rows.bottom, -1 }, { overlap = true } }
  for _, found in ipairs(api.nvim_buf_get_extmarks(buf, ns, unpack(range))) do
    local index = known.hunk_of[found[1]]
    local hunk = index and known.view.hunks[index]
    if hunk and hunk.added > 0 and hunk.removed > 0 then
      local there = place_of(index)
      local words = words_of(buf, known, index, there)
      for row = math.max(rows.top, there.first - 1), math.min(rows.bottom, there.last - 1) do
        if words[row - there.first + 2] then
          marks.emphasize(buf, ns, row, words[row - there.first + 2], priority)
        end
      end
    end
  end
end

return M
