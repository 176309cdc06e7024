--- Keeps loaded buffers true to the disk: an agent's write shows at once in an unmodified buffer.
--- Must not touch a modified buffer. Cursor, view, marks, extmarks, folds and undo stay.
---
--- A plain reload replaces the whole text: marks and extmarks stay at their line numbers while the
--- text moves. So the difference is edited in first, as a block of its own in the undo history;
--- then Neovim reloads the now identical text, because only a reload renews the time stamp that
--- |W12| is about, and that reload's empty undo entry is stepped over.
local M = {}

local api = vim.api
local TRIES = 3
local ns = api.nvim_create_namespace('agentdiff.reload')
-- What the disk was when the buffer last agreed with it.
local stamps = {} ---@type table<integer, agentdiff.Stamp>

---@class agentdiff.Stamp
---@field size integer
---@field sec integer
---@field nsec integer
---@field ino integer

--- What else may stand in a file's place is like no file: to open a pipe waits for its writer.
---@param name string
---@return agentdiff.Stamp? stamp nil unless there is a regular file
local function stamp_of(name)
  local stat = vim.uv.fs_stat(name)
  if stat and stat.type == 'file' then
    return { size = stat.size, sec = stat.mtime.sec, nsec = stat.mtime.nsec, ino = stat.ino }
  end
end

--- Reads a whole file together with the stamp that it had before and after.
---@param name string
---@return string? bytes
---@return agentdiff.Stamp? stamp
function M.read(name)
  for _ = 1, TRIES do
    local before = stamp_of(name)
    local file = before and io.open(name, 'rb')
    if not file then
      return nil
    end
    local bytes = file:read('*a')
    file:close()
    if vim.deep_equal(before, stamp_of(name)) then
      return bytes, before
    end
  end
end

--- Remembers that the buffer has just been read from, or written to, the disk, or merged with it.
---@param buf integer
---@param stamp agentdiff.Stamp? of the bytes that were read; nil: what the file has now
function M.synced(buf, stamp)
  stamps[buf] = stamp or stamp_of(api.nvim_buf_get_name(buf))
end

--- Whether the buffer has seen what the file holds now, going by its stamp. Nobody has ever seen
--- what is no file: to write into a pipe would wait for its reader.
---@param buf integer
---@return boolean
function M.seen(buf)
  local name = api.nvim_buf_get_name(buf)
  local stamp = stamp_of(name)
  return vim.deep_equal(stamps[buf], stamp) and (stamp ~= nil or not vim.uv.fs_stat(name))
end

--- Forgets a buffer that was unloaded, or what it has seen.
---@param buf integer
function M.forget(buf)
  stamps[buf] = nil
end

--- Replaces lines one by one where it can, so that marks and extmarks on them stay.
local function edit_block(buf, row, old, new)
  local same = math.min(#old, #new)
  for i = 1, same do
    if old[i] ~= new[i] then
      api.nvim_buf_set_text(buf, row + i - 1, 0, row + i - 1, #old[i], { new[i] })
    end
  end
  if #old ~= #new then
    api.nvim_buf_set_lines(buf, row + same, row + #old, false, vim.list_slice(new, same + 1, #new))
  end
end

--- Replaces the lines that differ, and nothing else.
---@param buf integer
---@param new string[]
function M.edit(buf, new)
  local old = api.nvim_buf_get_lines(buf, 0, -1, false)
  local blocks = require('agentdiff.lines').blocks(old, new, { algorithm = 'histogram' })
  -- From the bottom, so that the numbers above stay right.
  for i = #blocks, 1, -1 do
    local o, oc, n, nc = unpack(blocks[i])
    local row = oc > 0 and o - 1 or o
    edit_block(
      buf,
      row,
      vim.list_slice(old, o, o + oc - 1),
      nc > 0 and vim.list_slice(new, n, n + nc - 1) or {}
    )
  end
end

--- Lets Neovim reload the buffer from disk.
---@param buf integer
---@param quiet boolean without autocommands; else `buffers` answers |FileChangedShell| by `choice`
local function reload(buf, quiet)
  local undoreload, autoread = vim.o.undoreload, vim.bo[buf].autoread
  -- Negative: keep undo history however long the file is.
  vim.o.undoreload = -1
  vim.bo[buf].autoread = quiet
  local modifiers = quiet and 'noautocmd silent ' or 'silent '
  -- The file may vanish meanwhile; the options are put back all the same.
  pcall(vim.cmd, ('%schecktime %d'):format(modifiers, buf))
  vim.o.undoreload = undoreload
  if autoread == vim.go.autoread then
    api.nvim_buf_call(buf, function()
      vim.cmd('setlocal autoread<')
    end)
  else
    vim.bo[buf].autoread = autoread
  end
end

--- Returns the answer to |FileChangedShell|: a plain reload keeps encoding and line ends, and would
--- garble a file that has others now. Nothing is done about what is no file.
---@param buf integer
---@return string |v:fcs_choice|
function M.choice(buf)
  if not stamp_of(api.nvim_buf_get_name(buf)) then
    return ''
  end
  local bytes = M.read(api.nvim_buf_get_name(buf))
  return bytes and require('agentdiff.bytes').to_lines(buf, bytes) and 'reload' or 'edit'
end

---@param buf integer
local function views(buf)
  local saved = {}
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    saved[win] = api.nvim_win_call(win, vim.fn.winsaveview)
  end
  return saved
end

local function restore(saved)
  for win, view in pairs(saved) do
    if api.nvim_win_is_valid(win) then
      api.nvim_win_call(win, function()
        vim.fn.winrestview(view)
      end)
    end
  end
end

--- Calls a function while an option of the buffer has another value; it is put back in any case.
---@param buf integer
---@param name 'modifiable'|'readonly'
---@param value boolean
---@param change fun()
local function with(buf, name, value, change)
  local before = vim.bo[buf][name]
  vim.bo[buf][name] = value
  local ok, problem = pcall(change)
  if api.nvim_buf_is_valid(buf) then
    vim.bo[buf][name] = before
  end
  if not ok then
    error(problem, 0)
  end
end

--- Whether the undo history still has a state: 'undolevels' may keep none.
---@param entries table[] of |undotree()|
---@param seq integer
---@return boolean
local function has_state(entries, seq)
  for _, entry in ipairs(entries) do
    if entry.seq == seq or has_state(entry.alt or {}, seq) then
      return true
    end
  end
  return seq == 0
end

--- Renews the time stamp that Neovim has of an unmodified buffer, whose text is that of the disk.
---@param buf integer
---@param stamp agentdiff.Stamp of that text
local function renew(buf, stamp)
  local saved = views(buf)
  local before = vim.fn.undotree(buf)
  reload(buf, true)
  local after = vim.fn.undotree(buf)
  local reloaded = after.seq_last > before.seq_last
  -- After another write since, what the reload has read is newer than the lines.
  local same = vim.deep_equal(stamp, stamp_of(api.nvim_buf_get_name(buf)))
  if reloaded and same and has_state(after.entries, before.seq_cur) then
    with(buf, 'readonly', false, function()
      api.nvim_buf_call(buf, function()
        vim.cmd('noautocmd silent undo ' .. before.seq_cur)
      end)
      vim.bo[buf].modified = false
    end)
  end
  restore(saved)
end

--- Shows the disk in an unmodified buffer.
---@param buf integer
---@param lines string[]
---@param ended boolean
local function merge(buf, lines, ended)
  -- Ends the undo block of whatever was typed before.
  vim.bo[buf].undolevels = vim.bo[buf].undolevels
  -- The user is not the one who changes it: no |W10|. The reload may set 'readonly', so not there.
  with(buf, 'readonly', false, function()
    M.edit(buf, lines)
    vim.bo[buf].endofline = ended
    vim.bo[buf].modified = false
  end)
end

--- Keeps the start of a Visual selection on its text, as the cursor is: Neovim 0.10 leaves it at
--- its line number.
---@param buf integer
---@param change fun()
local function keep_selection(buf, change)
  local selects = api.nvim_get_mode().mode:match('^[vV\22]') and api.nvim_get_current_buf() == buf
  if not selects then
    return change()
  end
  local row = vim.fn.line('v') - 1
  local mark = api.nvim_buf_set_extmark(buf, ns, row, 0, {})
  change()
  local moved = api.nvim_buf_get_extmark_by_id(buf, ns, mark, {})[1]
  api.nvim_buf_del_extmark(buf, ns, mark)
  local line = math.min(moved + 1, api.nvim_buf_line_count(buf))
  if vim.fn.line('v') ~= line then
    local view, column = vim.fn.winsaveview(), vim.fn.col('v') - 1
    vim.cmd('normal! o')
    api.nvim_win_set_cursor(0, { line, column })
    vim.cmd('normal! o')
    vim.fn.winrestview(view)
  end
end

--- Brings the text of an unmodified buffer up to date, and what Neovim knows of the file.
---@param buf integer
---@param bytes string
---@param stamp agentdiff.Stamp
---@return boolean shown whether the text is that of the disk now
---@return boolean known whether Neovim has seen it, too
local function show(buf, bytes, stamp)
  -- |:checktime| is not allowed in the command-line window (E11).
  local allowed = vim.fn.getcmdwintype() == ''
  local lines, ended = require('agentdiff.bytes').to_lines(buf, bytes)
  if lines then
    keep_selection(buf, function()
      merge(buf, lines, ended == true)
    end)
    if allowed then
      renew(buf, stamp)
    end
    return true, allowed
  elseif allowed then
    local saved = views(buf)
    reload(buf, false)
    restore(saved)
  end
  return allowed, allowed
end

--- Brings an unmodified buffer up to date. Does nothing when it is, when it is modified, or when
--- the file is gone. In the command-line window the buffer counts as one that has not seen the
--- disk, so that it is looked at again.
---@param buf integer
---@return boolean changed
function M.sync(buf)
  local name = api.nvim_buf_get_name(buf)
  if vim.bo[buf].modified or M.seen(buf) then
    return false
  end
  local bytes, stamp = M.read(name)
  if not bytes or not stamp then
    return false
  end
  local shown, known = false, false
  with(buf, 'modifiable', true, function()
    shown, known = show(buf, bytes, stamp)
  end)
  if not known then
    return shown
  end
  stamps[buf] = stamp
  require('agentdiff.merge').agreed(buf, bytes)
  -- Written again while it was read: the next round sees it.
  if not vim.deep_equal(stamp, stamp_of(name)) then
    vim.schedule(function()
      if api.nvim_buf_is_loaded(buf) then
        M.sync(buf)
      end
    end)
  end
  return true
end

return M
