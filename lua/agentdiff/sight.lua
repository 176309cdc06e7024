--- Which hunks of a file are in sight, and whether a vimdiff shows the file. Must not draw.
local M = {}

local api = vim.api

--- Returns the index of the first hunk that ends at `row` or below, as it was drawn.
---@param known agentdiff.InlineState
---@param row integer 0-based
---@return integer
local function first_from(known, row)
  local low, high = 1, #known.last + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if known.last[middle] < row then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

--- Returns hunks between two rows that have no extmark yet, from top to bottom.
---@param known agentdiff.InlineState
---@param top integer 0-based
---@param bottom integer inclusive
---@param count integer so many of them
---@return integer[] indices
function M.bare(known, top, bottom, count)
  local out = {}
  for index = first_from(known, top), #known.first do
    if known.first[index] > bottom or #out == count then
      break
    elseif not known.marks[index] then
      out[#out + 1] = index
    end
  end
  return out
end

--- Returns the rows that a window shows, and a window's height around them. A closed fold may make
--- them many more than it has lines.
---@param win integer
---@return integer top 0-based
---@return integer bottom inclusive
function M.around(win)
  local info = vim.fn.getwininfo(win)[1]
  return info.topline - 1 - info.height, info.botline - 1 + info.height
end

--- Whether a window compares a buffer with others.
---@param buf integer
---@return boolean
function M.is_diffed(buf)
  return require('agentdiff.windows').any_diffed(vim.fn.win_findbuf(buf))
end

--- Calls a function soon after |M.is_diffed| may have changed.
---@param look fun()
function M.on_diffs(look)
  local group = api.nvim_create_augroup('agentdiff.sight', {})
  local looking = false
  local function look_soon()
    if not looking then
      looking = true
      vim.schedule(function()
        looking = false
        look()
      end)
    end
  end
  local opts = { group = group, callback = look_soon }
  api.nvim_create_autocmd({ 'BufWinEnter', 'WinClosed' }, opts)
  api.nvim_create_autocmd('OptionSet', { group = group, pattern = 'diff', callback = look_soon })
end

return M
