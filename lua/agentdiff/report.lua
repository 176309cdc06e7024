--- What pends and what happened, listed: messages, quickfix, selection. Changes nothing.
local M = {}

local levels = vim.log.levels

local function notify(message, level)
  require('agentdiff').notify(message, level)
end

--- Returns a text that agents chose as it can stand in one line.
---@param text string
---@return string
function M.one_line(text)
  return (text:gsub('[\n\r]', ' '))
end

--- Prints lines without adding them to the history.
---@param lines string[]
function M.echo(lines)
  vim.api.nvim_echo({ { table.concat(lines, '\n') } }, false, {})
end

--- Goes to the window for a list: that of the one before in this tab page, else a split.
---@return boolean done
local function go_to_list()
  local windows = require('agentdiff.windows')
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.b[vim.api.nvim_win_get_buf(win)].agentdiff_list and windows.can_change(win) then
      vim.api.nvim_set_current_win(win)
      return true
    end
  end
  return windows.split('botright split')
end

--- Shows lines in a window of their own; `q` closes it.
---@param lines string[]
---@param filetype string
function M.show(lines, filetype)
  if not go_to_list() then
    return
  end
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, vim.tbl_map(M.one_line, lines))
  vim.b[buf].agentdiff_list = true
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = filetype
  require('agentdiff.keys').map_close(buf, vim.cmd.close)
  vim.api.nvim_win_set_buf(0, buf)
end

--- Asks the daemon about the workspace of the working directory.
---@param method string
---@param params table?
---@param more table?
---@return any
function M.ask(method, params, more)
  local payload = vim.tbl_extend('force', { method = method, params = params }, more or {})
  local _, workspace = require('agentdiff.review').get(vim.api.nvim_get_current_buf())
  payload.workspace = workspace
  require('agentdiff.buffers').enable()
  local result, err = require('agentdiff.rpc').wait('request', payload)
  if err then
    notify(err.message, err.code == 'usage' and levels.ERROR or levels.WARN)
    return nil
  end
  return result
end

---@return table? status
---@return string? root
local function pending()
  local status = M.ask('status')
  if status and #status.files == 0 then
    notify('nothing pending')
    return nil
  end
  return status, status and status.workspace
end

--- Returns where a file of an answer is.
---@param file table
---@param root string the workspace
---@return string
function M.path_on_disk(file, root)
  return root .. '/' .. (file.path_b64 and vim.base64.decode(file.path_b64) or file.path)
end

--- Offers the pending files.
function M.files()
  local status, root = pending()
  if not status then
    return
  end
  vim.ui.select(status.files, {
    prompt = 'Pending files',
    kind = 'agentdiff.file',
    format_item = function(file)
      local name = M.one_line(file.path)
      return ('%-9s %s  +%d -%d'):format(file.status, name, file.added, file.removed)
    end,
  }, function(file)
    if file then
      require('agentdiff.windows').open(M.path_on_disk(file, root), 'edit')
    end
  end)
end

--- Fills the quickfix list, or with ! the location list.
---@param ctx {bang: boolean}
function M.qf(ctx)
  local status = pending()
  if status then
    require('agentdiff.quickfix').open(status, ctx.bang)
  end
end

--- Lists prompts and their tool calls.
function M.log()
  local result = M.ask('log')
  if not result then
    return
  end
  local lines, turn = {}, nil
  for _, call in ipairs(result.calls or result) do
    local heading = ('%s  %s'):format(call.agent, tostring(call.prompt or ''):gsub('\n.*', ' …'))
    if heading ~= turn then
      turn = heading
      lines[#lines + 1] = heading
    end
    local paths = vim.tbl_map(function(item)
      return item.path
    end, call.paths or {})
    local what = type(call.command) == 'string' and call.command:gsub('\n.*', ' …')
      or table.concat(paths, ', ')
    if not call.covers or #paths > 0 then
      local took = ''
      if type(call.finished) == 'number' and type(call.started) == 'number' then
        took = ('%.1f s'):format(call.finished - call.started)
      end
      local tool = ('  '):rep(call.depth or 0) .. (call.covers and '(itself)' or call.tool)
      -- What `call=` takes; of a command inside a call only if it changed a file.
      if (call.depth or 0) == 0 or #paths > 0 then
        what = vim.trim(what .. '  ' .. call.tool_call)
      end
      lines[#lines + 1] = ('  %-14s %-8s %7s  %s'):format(tool, call.outcome or '', took, what)
    end
    if #paths > 0 and type(call.command) == 'string' then
      lines[#lines + 1] = ('  '):rep(2 + (call.depth or 0)) .. table.concat(paths, ', ')
    end
  end
  if #lines == 0 then
    notify('the log is empty')
    return
  end
  M.show(lines, '')
end

--- Lists the texts that decisions took from the disk, each as a patch that puts it back.
function M.rejected()
  local result = M.ask('rejected')
  if not result then
    return
  end
  local lines = {}
  for _, item in ipairs(result.rejected) do
    local when = os.date('%Y-%m-%d %H:%M:%S', math.floor(item.at))
    local reason = item.reason ~= '' and '  ' .. item.reason:gsub('\n', ' ') or ''
    lines[#lines + 1] = ('%s  %s  %s%s'):format(when, item.op, item.path, reason)
    vim.list_extend(lines, vim.split(item.patch, '\n', { trimempty = true }))
    lines[#lines + 1] = ''
  end
  if #lines == 0 then
    notify('nothing was rejected')
    return
  end
  M.show(lines, 'diff')
end

--- Says what pends and who is at work.
function M.status()
  local result = M.ask('status')
  if not result then
    return
  end
  local totals = result.totals
  local lines = {
    ('%s: %d files, %d hunks, +%d -%d'):format(
      result.workspace,
      totals.files,
      totals.hunks,
      totals.added,
      totals.removed
    ),
  }
  for _, session in ipairs(result.sessions) do
    lines[#lines + 1] = ('  %s %s: %s'):format(session.agent, session.id, session.state)
  end
  for _, file in ipairs(result.files) do
    lines[#lines + 1] = ('  %-9s %s  +%d -%d'):format(
      file.status,
      M.one_line(file.path),
      file.added,
      file.removed
    )
  end
  vim.list_extend(lines, require('agentdiff.coverage').lines(result))
  M.echo(lines)
end

return M
