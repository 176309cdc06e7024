--- :checkhealth agentdiff. Starts the Python host (there is no other way to ask it), never a
--- daemon.
local M = {}

local health = vim.health

local function check_editor()
  health.start('agentdiff: Neovim')
  if vim.fn.has('nvim-0.10') == 1 then
    health.ok('Neovim ' .. tostring(vim.version()))
  else
    health.error('Neovim 0.10 or newer is needed', { 'Update Neovim.' })
  end
  local problems = require('agentdiff.config').problems()
  for _, problem in ipairs(problems) do
    health.warn('config: ' .. problem, { 'See :help agentdiff-config.' })
  end
  if #problems == 0 then
    health.ok('config: every option is known')
  end
end

---@return boolean ok
local function check_python()
  health.start('agentdiff: Python')
  local rpc = require('agentdiff.rpc')
  local python, err = rpc.interpreter()
  if not python then
    health.error(err, { 'Run `make install` in the plugin folder, or set g:agentdiff_python.' })
    return false
  end
  health.ok('interpreter: ' .. python)
  local info, problem = rpc.ping()
  if not info then
    health.error('the remote plugin does not answer: ' .. problem, { 'Run `make install`.' })
    return false
  end
  health.ok(('remote plugin answers: Python %s, pynvim %s'):format(info.version, info.pynvim))
  if info.problem ~= '' then
    health.error('package: ' .. info.problem, { 'Run `make install` in the plugin folder.' })
    return false
  end
  health.ok('package agentdiff and its dependencies can be imported')
  return true
end

local function check_daemon()
  health.start('agentdiff: daemon')
  local result, err = require('agentdiff.rpc').wait('doctor', {})
  if err then
    health.info('not reached: ' .. err.message)
    health.info('The first agent hook, command or review starts one.')
    return
  end
  for _, check in ipairs(result.checks) do
    local text = check.title
    if type(check.detail) == 'string' and check.detail ~= '' then
      text = text .. ': ' .. check.detail
    end
    local remedy = type(check.remedy) == 'string' and check.remedy ~= '' and { check.remedy } or nil
    if check.level == 'ok' then
      health.ok(text)
    elseif check.level == 'warn' then
      health.warn(text, remedy)
    else
      health.error(text, remedy)
    end
  end
end

local function check_buffers()
  health.start('agentdiff: buffers')
  local watched, conflicts = 0, 0
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local file = vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].buftype == ''
    if file and vim.b[buf].agentdiff_workspace then
      watched = watched + 1
      local left = require('agentdiff.merge').conflicts(buf)
      conflicts = conflicts + left
      if left > 0 then
        local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buf), ':~:.')
        health.warn(('%s: %d unresolved conflicts'):format(name, left), {
          'Choose between the markers, then :write. See :help agentdiff-merge.',
        })
      end
    end
  end
  health.ok(('%d watched'):format(watched))
  if require('agentdiff.status').is_stale() then
    health.warn('what is shown may be stale: the daemon or the host went away', {
      'The next command starts it again.',
    })
  end
end

local function check_failures()
  local failures = require('agentdiff.failures').list()
  for _, failure in ipairs(failures) do
    health.error('internal error: ' .. failure, { 'Report it, please, with these lines.' })
  end
  if #failures == 0 then
    health.ok('no internal error was met')
  end
end

--- Called by |:checkhealth|.
function M.check()
  check_editor()
  if check_python() then
    check_daemon()
  end
  check_buffers()
  check_failures()
end

return M
