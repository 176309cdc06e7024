--- Which lines of two lists differ, by Neovim's own diff. For drawing and for small edits of
--- buffers; never for hunks. Must not touch buffers.
local M = {}

-- `vim.diff` is the same function under its name of before 0.12.
local diff = vim.text and vim.text.diff or vim.diff

--- Returns lines as one text, each of them ended: no lines are no text, not an empty line.
---@param lines string[]
---@return string
function M.text(lines)
  return #lines > 0 and table.concat(lines, '\n') .. '\n' or ''
end

--- Returns the blocks `{old, old count, new, new count}` (1-based) that differ; with a count of 0
--- the line before.
---@param old string[]|string lines, or a text
---@param new string[]|string
---@param options table? of |vim.diff()|
---@return integer[][]
function M.blocks(old, new, options)
  return diff(
    type(old) == 'table' and M.text(old) or old --[[@as string]],
    type(new) == 'table' and M.text(new) or new --[[@as string]],
    vim.tbl_extend('keep', { result_type = 'indices' }, options or {})
  ) --[[@as integer[][] ]]
end

return M
