--- Moving in the review buffer, and from it to the file. Must not change anything.
local M = {}

local api = vim.api

---@param list {row: integer}[]
---@return integer[]
local function rows_of(list)
  return vim.tbl_map(function(item)
    return item.row
  end, list)
end

--- Moves the cursor to the next or previous hunk, also into another file; or file, or heading.
---@param step 1|-1
---@param what 'hunk'|'file'|'group'
function M.jump(step, what)
  local review = require('agentdiff.review').get(api.nvim_get_current_buf())
  if not review or require('agentdiff.edit').refuse(review.buf) then
    return
  end
  local view = review.view
  local rows = what == 'hunk' and view.hunks.row
    or rows_of(what == 'file' and view.files or view.groups)
  if #rows == 0 then
    return
  end
  local row, at = api.nvim_win_get_cursor(0)[1] - 1, nil
  for _ = 1, vim.v.count1 do
    local found
    for i = step > 0 and 1 or #rows, step > 0 and #rows or 1, step do
      if (rows[i] - row) * step > 0 then
        found = i
        break
      end
    end
    if not found and vim.o.wrapscan then
      found = step > 0 and 1 or #rows
    end
    at = found or at
    row = at and rows[at] or row
  end
  if not at then
    return
  end
  vim.cmd("normal! m'")
  require('agentdiff.panes').go_to(review, row)
  vim.cmd('normal! zv')
  api.nvim_echo({ { ('%s %d/%d'):format(what, at, #rows) } }, false, {})
end

--- Opens the file at the line under the cursor; <C-o> comes back.
---@param how 'edit'|'split'|'tabedit'
---@return boolean ok
function M.jump_to_file(how)
  local review, workspace = require('agentdiff.review').get(api.nvim_get_current_buf())
  if not review then
    return false
  end
  local geometry = require('agentdiff.view')
  local cursor = api.nvim_win_get_cursor(0)
  local file = geometry.file_at(review.view, cursor[1] - 1)
  if not file then
    return false
  end
  local relative = file.path_b64 and vim.base64.decode(file.path_b64) or file.path
  local path = workspace .. '/' .. relative
  if not vim.uv.fs_lstat(path) then
    require('agentdiff').notify(file.path .. ' is not on disk', vim.log.levels.WARN)
    return false
  end
  local lnum = geometry.lnum(review.view, cursor[1] - 1)
  vim.cmd("normal! m'")
  if not require('agentdiff.windows').open(path, how) then
    return false
  elseif how == 'edit' then
    require('agentdiff.panes').note_jump()
  end
  if lnum then
    lnum = math.min(lnum, api.nvim_buf_line_count(0))
    api.nvim_win_set_cursor(0, { lnum, math.max(0, cursor[2] - 1) })
    vim.cmd('normal! zvzz')
  end
  return true
end

return M
