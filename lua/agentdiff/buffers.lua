--- File buffers: which are watched, what Neovim is about to write into them (claims), and how they
--- follow the disk. Must not draw.
local M = {}

local api = vim.api
local group ---@type integer?
local claims ---@type integer?
local attach_new = false
---@class agentdiff.Begun
---@field data? string bytes that were claimed
---@field at_us integer wall clock
local begun = {} ---@type table<integer, agentdiff.Begun> what was said before the write under way
local wanted = {} ---@type table<integer, string> names that Python keeps in mind, by buffer

---@param buf integer
---@return string? name nil unless the buffer is an ordinary one of a file
local function file_of(buf)
  if not api.nvim_buf_is_loaded(buf) or vim.bo[buf].buftype ~= '' then
    return nil
  end
  local name = api.nvim_buf_get_name(buf)
  -- Names with a scheme belong to other plugins.
  if name == '' or name:find('^%a[%w+.-]+://') then
    return nil
  end
  return name
end

--- Python forgets the name of a buffer, also one that is in no workspace yet.
---@param buf integer
local function unwatch(buf)
  local name = wanted[buf]
  wanted[buf] = nil
  if name and require('agentdiff.rpc').used() then
    require('agentdiff.rpc').send('unwatch', { path = name })
  end
end

---@param buf integer
local function watch(buf)
  local name = file_of(buf)
  if not name then
    return
  end
  local rpc = require('agentdiff.rpc')
  if attach_new or rpc.used() then
    if wanted[buf] ~= name then
      unwatch(buf) -- it has another name now
      wanted[buf] = name
    end
    rpc.send('watch', { path = name, cwd = vim.fn.getcwd(), attach = attach_new })
  end
end

---@return integer us wall clock
local function clock()
  local sec, usec = vim.uv.gettimeofday()
  return sec * 1000000 + usec
end

---@param path string
---@param data string
---@param written boolean
---@param since_us? integer of a write that is over: when it had not begun yet
local function claim(path, data, written, since_us)
  -- Times are said with the claim: it may have to wait for a host or a daemon.
  require('agentdiff.rpc').send('claim', {
    path = path,
    data = data,
    written = written,
    at_us = clock(),
    since_us = since_us,
  })
end

--- Whether a write puts the whole buffer over its own file.
---@param buf integer
---@param path string
---@return boolean
local function is_own(buf, path)
  return vim.b[buf].agentdiff_workspace ~= nil and path == api.nvim_buf_get_name(buf)
end

---@param buf integer
---@param path string
local function announce(buf, path)
  local data = require('agentdiff.bytes').of_buffer(buf, vim.v.cmdarg)
  begun[buf] = { data = data, at_us = clock() }
  if data then
    claim(path, data, false)
  end
end

--- Saves a buffer that has seen the disk, so that Neovim has, too: it would ask otherwise (|W12|).
--- The write that is under way then writes the same once more.
---@param buf integer
local function renew_stamp(buf)
  local data, since_us = begun[buf].data, begun[buf].at_us
  if
    pcall(api.nvim_buf_call, buf, function()
      vim.cmd('noautocmd silent write!')
    end) and data
  then
    claim(api.nvim_buf_get_name(buf), data, true, since_us)
    announce(buf, api.nvim_buf_get_name(buf)) -- that one is proved, and here comes another
  end
end

--- Called before each write. Nothing unseen is overwritten, and the bytes are claimed.
---@param buf integer
---@param path string
---@return string command for |:execute|; an exception is what stops a write
function M.before_write(buf, path)
  if not file_of(buf) or not require('agentdiff.rpc').used() then
    return ''
  end
  local own = is_own(buf, path)
  local problem = own and vim.v.cmdbang == 0 and require('agentdiff.merge').guard(buf)
  if problem then
    local name = vim.fn.fnamemodify(path, ':t')
    return ('throw %s'):format(vim.fn.string(('agentdiff: %s: %s'):format(name, problem)))
  end
  announce(buf, path)
  if own and vim.v.cmdbang == 0 and require('agentdiff.merge').is_behind(buf) then
    renew_stamp(buf)
  end
  return ''
end

local function after_write(args)
  if not file_of(args.buf) then
    return
  end
  local before = begun[args.buf] or {}
  begun[args.buf] = nil
  if not require('agentdiff.rpc').used() then
    return
  end
  -- A handler that ran after ours may have changed the text before it was written.
  local data = require('agentdiff.bytes').of_buffer(args.buf, vim.v.cmdarg) or before.data
  if is_own(args.buf, args.match) then
    require('agentdiff.merge').saved(args.buf)
    require('agentdiff.reload').synced(args.buf)
    require('agentdiff.merge').agreed(args.buf, data)
  end
  if data then
    claim(args.match, data, true, before.at_us)
  end
end

--- Puts our handler behind those that were registered since: formatters change the text before we
--- look at it.
local function claim_last()
  if claims then
    -- It may have been cleared by a user's `autocmd!`.
    pcall(api.nvim_del_autocmd, claims)
  end
  claims = api.nvim_create_autocmd('BufWritePre', {
    group = group,
    command = [[execute v:lua.require'agentdiff.buffers'.before_write(]]
      .. [[str2nr(expand('<abuf>')), expand('<amatch>'))]],
  })
end

--- Answers Neovim's own question about a file that changed: nothing is asked for watched buffers.
--- Neovim gets here first when it looks at time stamps before Python has spoken (|:checktime|, a
--- window that gets focus).
local function file_changed(args)
  if not vim.b[args.buf].agentdiff_workspace then
    vim.v.fcs_choice = 'ask'
    return true -- `:noautocmd` let nobody know that the buffer was unloaded
  end
  vim.v.fcs_choice = ''
  if vim.v.fcs_reason == 'conflict' then
    require('agentdiff.gate').soon(function()
      M.follow(args.buf)
    end)
  elseif vim.v.fcs_reason == 'changed' or vim.v.fcs_reason == 'time' then
    vim.v.fcs_choice = require('agentdiff.reload').choice(args.buf)
  end
end

--- Nothing is asked any more for a buffer, or Neovim asks again. A handler that is there for every
--- file would silence Neovim (|W12|, |E211|) whatever it chooses, and mask those of others.
---@param buf integer
---@param on boolean
local function answer(buf, on)
  api.nvim_clear_autocmds({ group = group, event = 'FileChangedShell', buffer = buf })
  if on then
    api.nvim_create_autocmd('FileChangedShell', {
      group = group,
      buffer = buf,
      callback = file_changed,
    })
  end
end

---@param buf integer
local function redraw(buf)
  require('agentdiff.inline').redraw(buf)
end

--- Neovim has reloaded a buffer by itself.
local function reloaded(args)
  if vim.b[args.buf].agentdiff_workspace and not vim.bo[args.buf].modified then
    require('agentdiff.reload').synced(args.buf)
    require('agentdiff.merge').agreed(args.buf)
    redraw(args.buf)
  end
end

--- Follows a write to the file of a buffer, whoever wrote.
---@param buf integer
---@return boolean changed whether the text was replaced already
function M.follow(buf)
  if not api.nvim_buf_is_loaded(buf) then
    return false
  end
  if vim.bo[buf].modified then
    require('agentdiff.merge').into(buf, function()
      redraw(buf)
    end)
    return false
  end
  return require('agentdiff.reload').sync(buf)
end

--- Called when Python follows the file of a buffer.
---@param name string
---@param workspace string
function M.watching(name, workspace)
  for _, buf in ipairs(M.named(name)) do
    vim.b[buf].agentdiff_workspace = workspace
    answer(buf, true)
    require('agentdiff.keys').map_file(buf)
    if not vim.bo[buf].modified then
      require('agentdiff.merge').agreed(buf)
    end
    M.follow(buf)
  end
end

--- Returns the loaded buffers of that name.
---@param name string
---@return integer[]
function M.named(name)
  return vim.tbl_filter(function(buf)
    return api.nvim_buf_is_loaded(buf) and api.nvim_buf_get_name(buf) == name
  end, api.nvim_list_bufs())
end

--- Follows what could not be followed while the command-line window was open.
local function catch_up()
  for _, buf in ipairs(api.nvim_list_bufs()) do
    if file_of(buf) and vim.b[buf].agentdiff_workspace and M.follow(buf) then
      redraw(buf)
    end
  end
end

local function install()
  group = api.nvim_create_augroup('agentdiff', {})
  local on = function(events, callback)
    api.nvim_create_autocmd(events, { group = group, callback = callback })
  end
  on({ 'BufReadPost', 'BufNewFile' }, function(args)
    require('agentdiff.reload').synced(args.buf)
    if vim.b[args.buf].agentdiff_workspace then
      require('agentdiff.merge').agreed(args.buf)
      answer(args.buf, true)
    end
    watch(args.buf)
  end)
  on('BufFilePost', function(args)
    watch(args.buf)
  end)
  on('BufUnload', function(args)
    begun[args.buf] = nil
    answer(args.buf, false)
    require('agentdiff.reload').forget(args.buf)
    require('agentdiff.merge').forget(args.buf)
    require('agentdiff.inline').forget(args.buf)
    unwatch(args.buf)
  end)
  on('BufModifiedSet', function(args)
    claim_last()
    if vim.b[args.buf].agentdiff_workspace and not vim.bo[args.buf].modified then
      -- The user took all edits back. Those of a merge may be among them: then the text is older
      -- than the disk, whatever the stamp says.
      require('agentdiff.gate').soon(function()
        if require('agentdiff.merge').is_behind(args.buf) then
          require('agentdiff.reload').forget(args.buf)
        end
        if M.follow(args.buf) then
          redraw(args.buf)
        end
      end)
    end
  end)
  on('BufWritePost', after_write)
  require('agentdiff.parts').install(group, clock, claim)
  on('ModeChanged', function()
    require('agentdiff.merge').resume(redraw)
  end)
  on('CmdwinLeave', function()
    require('agentdiff.gate').soon(catch_up)
  end)
  on('FileChangedShellPost', reloaded)
  on('BufWinEnter', function(args)
    require('agentdiff.cursor').show_top(args.buf)
  end)
  on({ 'CursorMoved', 'BufWinEnter' }, function(args)
    require('agentdiff.cursor').moved(args.buf)
  end)
  on({ 'WinScrolled', 'BufWinEnter' }, function()
    for _, win in ipairs(api.nvim_tabpage_list_wins(0)) do
      require('agentdiff.inline').reveal(win)
    end
  end)
  claim_last()
end

--- Tells a new host what the one that died was watching.
function M.resume()
  for _, buf in ipairs(api.nvim_list_bufs()) do
    if api.nvim_buf_is_loaded(buf) and vim.b[buf].agentdiff_workspace and file_of(buf) then
      local name = api.nvim_buf_get_name(buf)
      local payload = { path = name, cwd = vim.fn.getcwd(), attach = true }
      require('agentdiff.rpc').send('watch', payload)
    end
  end
end

local function watch_all()
  -- When these were read nobody knows: the first look at each compares its text.
  for _, buf in ipairs(api.nvim_list_bufs()) do
    watch(buf)
  end
end

--- Watches the loaded buffers, and those to come, once Python runs. Idempotent.
function M.enable()
  if group then
    return
  end
  require('agentdiff.highlight').setup()
  install()
  watch_all()
end

--- Called when the first host was started, perhaps by a command long after startup.
function M.started()
  if not attach_new then
    attach_new = true
    if group then
      watch_all()
    end
  end
end

--- Attaches this Neovim in the background, if options allow and Python can be reached.
function M.auto_attach()
  if not require('agentdiff.config').get().auto_attach then
    return
  end
  -- A missing environment is no reason for a message at startup: commands and health say it.
  attach_new = require('agentdiff.rpc').interpreter() ~= nil
  M.enable()
end

return M
