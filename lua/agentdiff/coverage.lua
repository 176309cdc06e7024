--- What is not fully protected, in words. Must not decide what that is: the daemon did.
local M = {}

local MAX_GAPS = 5 -- as many as `agentdiff status` names
local MAX_IGNORED = 3

---@param n integer
---@param noun string
local function counted(n, noun)
  return ('%d %s%s'):format(n, noun, n == 1 and '' or 's')
end

--- Says of what the base of a file is not exact; nil where it is, or where nothing pends.
---@param coverage string of a view
---@return string?
function M.note(coverage)
  return coverage ~= '' and coverage ~= 'exact' and coverage or nil
end

---@param gaps {path: string, reason: string}[]
---@param out string[]
local function add_gaps(gaps, out)
  local one_line = require('agentdiff.report').one_line
  for i = 1, math.min(#gaps, MAX_GAPS) do
    local gap = gaps[i]
    out[i] = gap.path == '' and 'note: ' .. one_line(gap.reason)
      or ('not covered: %s: %s'):format(one_line(gap.path), one_line(gap.reason))
  end
  if #gaps > MAX_GAPS then
    out[#out + 1] = ('not covered: %d more (agentdiff status --json)'):format(#gaps - MAX_GAPS)
  end
end

--- Returns what `status` answers about coverage, as lines.
---@param status table
---@return string[]
function M.lines(status)
  local gaps, ignored, out = {}, {}, {}
  for _, one in ipairs(status.coverage) do
    local passed = vim.startswith(one.reason, 'ignored')
    table.insert(passed and ignored or gaps, passed and one.path or one)
  end
  add_gaps(gaps, out)
  local counts = {}
  for _, part in ipairs({ { 'folders', 'folder' }, { 'files', 'file' } }) do
    local n = status.ignored[part[1]]
    counts[#counts + 1] = n > 0 and counted(n, part[2]) or nil
  end
  if #counts > 0 then
    local total = status.ignored.folders + status.ignored.files
    local names = table.concat(vim.list_slice(ignored, 1, MAX_IGNORED), ', ')
    out[#out + 1] = ('ignored, not followed: %s (%s%s)'):format(
      table.concat(counts, ' and '),
      require('agentdiff.report').one_line(names),
      total > MAX_IGNORED and ', …' or ''
    )
  end
  return out
end

return M
