--- The exact bytes that Neovim writes for a buffer, and the lines that it reads from bytes. Pure.
--- Follows buf_write() of Neovim's bufwrite.c; tests compare it with what Neovim really wrote.
local M = {}

-- Unit size in bytes. Neovim's names without a byte order mean big endian, and iconv would add a
-- mark of its own to those: the little endian form is made and its bytes are swapped.
local WIDE = { ['utf-16'] = 2, ['ucs-2'] = 2, ['utf-32'] = 4, ['ucs-4'] = 4 }
local LITTLE = { [2] = 'utf-16le', [4] = 'ucs-4le' }
local EOL = { unix = '\n', dos = '\r\n', mac = '\r' }
local BOM = '\239\187\191'

local function is_utf8(encoding)
  return encoding == '' or encoding == 'utf-8'
end

--- Reads `++ff`, `++enc` and `++bin` of the running command from |v:cmdarg|.
local function forced(cmdarg)
  return {
    fileformat = cmdarg:match('%+%+ff=(%w+)') or cmdarg:match('%+%+fileformat=(%w+)'),
    fileencoding = cmdarg:match('%+%+enc=(%S+)') or cmdarg:match('%+%+encoding=(%S+)'),
    binary = cmdarg:find('++bin', 1, true) ~= nil,
    nobinary = cmdarg:find('++nobin', 1, true) ~= nil,
  }
end

--- Whether a run of bytes above 127 is UTF-8. Not asked of iconv: converting its own substitutes
--- back from a wide encoding crashes Neovim (0.10 and 0.12).
---@param run string
---@return boolean
local function valid_run(run)
  local i = 1
  while i <= #run do
    local lead, second = run:byte(i, i + 1)
    local more = lead >= 0xF0 and 3 or lead >= 0xE0 and 2 or 1
    local low = lead == 0xE0 and 0xA0 or lead == 0xF0 and 0x90 or 0x80
    local high = lead == 0xED and 0x9F or lead == 0xF4 and 0x8F or 0xBF
    if lead < 0xC2 or lead > 0xF4 or not second or second < low or second > high then
      return false
    end
    for n = i + 2, i + more do
      local byte = run:byte(n)
      if not byte or byte < 0x80 or byte > 0xBF then
        return false
      end
    end
    i = i + more + 1
  end
  return true
end

---@param text string
---@return boolean
local function valid_utf8(text)
  for run in text:gmatch('[\128-\255]+') do
    if not valid_run(run) then
      return false
    end
  end
  return true
end

---@param text string UTF-8
---@param encoding string
---@return string?
local function encode(text, encoding)
  local size = WIDE[encoding]
  local name = size and LITTLE[size] or encoding
  local bytes = valid_utf8(text) and vim.iconv(text, 'utf-8', name) or nil
  -- iconv replaces what it cannot convert; Neovim refuses to write it.
  if not bytes or vim.iconv(bytes, name, 'utf-8') ~= text then
    return nil
  end
  if size then
    bytes = bytes:gsub(('.'):rep(size), string.reverse)
  end
  return bytes
end

--- Returns the bytes that a write puts on disk.
---@param buf integer
---@param cmdarg string? |v:cmdarg| of the write
---@param as_is boolean? without the last line end that 'fixendofline' would add
---@param part {first: integer, last: integer, appended: boolean}? 1-based lines, inclusive; and
---whether they come after others. nil: the whole buffer
---@return string? bytes nil when the text cannot be converted (Neovim refuses such a write, too)
function M.of_buffer(buf, cmdarg, as_is, part)
  local bo = vim.bo[buf]
  local force = forced(cmdarg or '')
  local binary = force.binary or (bo.binary and not force.nobinary)
  local eol = EOL[force.fileformat or (binary and 'unix' or bo.fileformat)] or '\n'
  local encoding = force.fileencoding or bo.fileencoding
  local first, last = part and part.first - 1 or 0, part and part.last or -1
  local lines = vim.api.nvim_buf_get_lines(buf, first, last, false)
  local to_end = not part or last >= vim.api.nvim_buf_line_count(buf)
  local empty = #lines == 1
    and lines[1] == ''
    and vim.api.nvim_buf_call(buf, function()
      -- An empty buffer and one empty line look alike in the API, and are written differently.
      return vim.fn.wordcount().bytes == 0
    end)
  local text = empty and '' or table.concat(lines, eol)
  local ends = not to_end or bo.endofline or (not binary and bo.fixendofline and not as_is)
  if not empty and ends then
    text = text .. eol
  end
  if bo.endoffile and not bo.fixendofline and not empty then
    text = text .. '\26'
  end
  local begins = not (part and part.appended)
  if bo.bomb and begins and not binary and (is_utf8(encoding) or encoding:match('^u[ct][sf]')) then
    text = BOM .. text
  end
  if is_utf8(encoding) then
    return text
  end
  return encode(text, encoding)
end

--- Returns the lines of a buffer that would read these bytes with its present options.
---@param buf integer
---@param bytes string
---@return string[]? lines nil when reading would change an option: Neovim has to read it itself
---@return boolean? endofline
function M.to_lines(buf, bytes)
  local bo = vim.bo[buf]
  if not is_utf8(bo.fileencoding) or bo.fileformat == 'mac' or bytes:find('\0', 1, true) then
    return nil
  end
  local marked = bytes:sub(1, 3) == BOM
  if marked ~= bo.bomb or bo.binary or bo.endoffile or bytes:find('\26', -1, true) then
    return nil
  end
  local text = marked and bytes:sub(4) or bytes
  -- What is not UTF-8 would be read as another encoding.
  if text == '' or not valid_utf8(text) then
    return nil
  end
  local ended = text:sub(-1) == '\n'
  local lines = vim.split(ended and text:sub(1, -2) or text, '\n', { plain = true })
  local returns = 0
  for i, line in ipairs(lines) do
    if line:sub(-1) == '\r' then
      returns = returns + 1
      if bo.fileformat == 'dos' then
        lines[i] = line:sub(1, -2)
      end
    end
  end
  if bo.fileformat == 'dos' and returns ~= #lines - (ended and 0 or 1) then
    return nil
  end
  if bo.fileformat == 'unix' and returns > 0 and returns >= #lines - 1 then
    return nil
  end
  return lines, ended
end

return M
