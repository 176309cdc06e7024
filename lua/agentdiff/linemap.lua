--- Lines of the file on disk ↔ lines of its buffer. For placing marks and for saying which lines of
--- the disk a selection means; never for hunks. Must not change anything.
local M = {}

local api = vim.api

---@class agentdiff.LineMap
---@field to_buffer fun(line: integer): integer 1-based; cheap when asked in ascending order
---@field to_disk fun(first: integer, last: integer): integer?, integer? nil: no line is on disk

---@param line integer
---@return integer
local function same(line)
  return line
end

--- Maps through blocks `{disk, count, buffer, count}`, as `vim.diff` gives them.
---@param blocks integer[][]
---@return fun(line: integer): integer
local function to_buffer(blocks)
  local next_block, shift, asked = 1, 0, 0
  return function(line)
    if line < asked then
      next_block, shift = 1, 0
    end
    asked = line
    while next_block <= #blocks do
      local o, oc, n, nc = unpack(blocks[next_block])
      local first = oc > 0 and o or o + 1
      if line < first then
        break
      elseif line < first + oc then
        return math.max(1, nc > 0 and math.min(n + line - first, n + nc - 1) or n)
      end
      shift = shift + nc - oc
      next_block = next_block + 1
    end
    return line + shift
  end
end

--- Returns the line of the disk that a line of the buffer is, or else those around it.
---@param blocks integer[][]
---@param line integer
---@return integer above at or above the line
---@return integer below at or below it
local function on_disk(blocks, line)
  local shift = 0
  for _, block in ipairs(blocks) do
    local o, oc, n, nc = unpack(block)
    local first = nc > 0 and n or n + 1
    if line < first then
      break
    elseif line < first + nc then
      -- Of lines that were put in the place of others the first ones stand for them.
      local at = oc > 0 and o or o + 1
      if line - first < oc then
        return at + line - first, at + line - first
      end
      return at + oc - 1, at + oc
    end
    shift = shift + oc - nc
  end
  return line + shift, line + shift
end

---@param buf integer
---@return string? text as Neovim would have read it; nil when it cannot be read
local function disk_text(buf)
  local name = api.nvim_buf_get_name(buf)
  -- Opening a pipe that stands in the file's place would wait for its writer, perhaps for ever.
  local stat = vim.uv.fs_stat(name)
  local file = stat and stat.type == 'file' and io.open(name, 'rb')
  local text = file and file:read('*a')
  if file then
    file:close()
  end
  if not text then
    return nil
  end
  if vim.bo[buf].fileformat == 'dos' then
    text = text:gsub('\r\n', '\n')
  end
  if not vim.tbl_contains({ '', 'utf-8' }, vim.bo[buf].fileencoding) then
    text = vim.iconv(text, vim.bo[buf].fileencoding, 'utf-8') or text
  end
  return text
end

--- Returns the map of a buffer as it is now: identity unless it has unsaved changes.
---@param buf integer
---@return agentdiff.LineMap
function M.of(buf)
  local disk = vim.bo[buf].modified and disk_text(buf)
  if not disk then
    return {
      to_buffer = same,
      to_disk = function(first, last)
        return first, last
      end,
    }
  end
  local lines = api.nvim_buf_get_lines(buf, 0, -1, false)
  local blocks = require('agentdiff.lines').blocks(disk, lines, { algorithm = 'histogram' })
  return {
    to_buffer = to_buffer(blocks),
    to_disk = function(first, last)
      local _, from = on_disk(blocks, first)
      local to = on_disk(blocks, last)
      if from <= to then
        return from, to
      end
    end,
  }
end

return M
