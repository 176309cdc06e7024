--- The only module that knows how Python is reached: an own channel that runs pynvim's standard
--- host on our remote plugin file (doc/decisions/0002). Must not know what the messages mean,
--- except whom they are for.
local M = {}

local ROOT = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h:h:h')
-- The host names handlers after the normalised path that it was given.
local PLUGIN = vim.fs.normalize(ROOT .. '/rplugin/python3/agentdiff_rplugin.py')
local HANDLER = PLUGIN .. ':function:AgentDiffSend'
local HOST = 'import pynvim; pynvim.start_host()'

local channel ---@type integer?
local died = false
local last_id = 0
local waits = 0
local pending = {} ---@type table<integer, fun(result: any, err: {code: string, message: string}?)>
local told = {} ---@type table<string, boolean>
local stderr = {} ---@type string[]

--- Says once what nobody asked for.
---@param message string
local function tell_once(message)
  if not told[message] then
    told[message] = true
    require('agentdiff').notice(message, vim.log.levels.ERROR)
  end
end

---@return boolean
local function is_exiting()
  return vim.v.exiting ~= vim.NIL
end

--- Returns the interpreter: the plugin's own virtual environment, else what the user named.
---@return string? python
---@return string? err
function M.interpreter()
  local own = ROOT .. '/.venv/bin/python'
  local named = {
    own,
    require('agentdiff.config').get().python,
    vim.g.agentdiff_python,
    vim.g.python3_host_prog,
  }
  for i = 1, 4 do
    -- 'wildignore' is about the user's own files; many ignore every `.venv`.
    local python = named[i] and vim.fn.expand(named[i], true)
    if python and vim.fn.executable(python) == 1 then
      return python
    end
  end
  local where = vim.fn.fnamemodify(ROOT, ':~')
  return nil, ('no Python environment: run `make install` in %s'):format(where)
end

local function fail_pending(message)
  local waiting = pending
  pending = {}
  for _, callback in pairs(waiting) do
    callback(nil, { code = 'unavailable', message = message })
  end
end

local function on_exit(job, code)
  if job ~= channel then
    return -- noticed already, and perhaps another one runs
  end
  channel = nil
  died = true
  if is_exiting() then
    return
  end
  local last = stderr[#stderr] or ('exit code ' .. code)
  local message = ('the Python host ended: %s (see :checkhealth agentdiff)'):format(last)
  fail_pending(message)
  require('agentdiff.status').lost('the Python host')
end

--- Starts the host unless it runs. Returns at once: messages queue up until it is ready.
---@return boolean ok
---@return string? err
function M.start()
  if channel then
    return true
  elseif is_exiting() then
    return false, 'Neovim is exiting' -- a host would outlive it, or not even have begun
  end
  local python, err = M.interpreter()
  if not python then
    return false, err
  end
  stderr = {}
  -- -P: never import from the working directory, which is the workspace of an agent.
  local ok, job = pcall(vim.fn.jobstart, { python, '-P', '-c', HOST, PLUGIN }, {
    rpc = true,
    on_exit = on_exit,
    on_stderr = function(_, data)
      for _, line in ipairs(data) do
        if line ~= '' then
          stderr[#stderr + 1] = line
        end
      end
    end,
  })
  if not ok or job <= 0 then
    return false, ('cannot start %s: %s'):format(python, tostring(job))
  end
  channel = job
  if died then
    died = false
    require('agentdiff.buffers').resume()
    require('agentdiff.review').resume()
  else
    require('agentdiff.buffers').started()
  end
  return true
end

--- Whether a host runs, or ran and will be started again by the next message.
---@return boolean
function M.used()
  return channel ~= nil or died
end

---@param kind string
---@param payload table
---@return boolean ok
---@return string? err
local function post(kind, payload)
  local ok, err = M.start()
  if not ok then
    return false, err
  end
  if vim.tbl_isempty(payload) then
    payload = vim.empty_dict()
  end
  if not pcall(vim.rpcnotify, channel, HANDLER, { kind, payload }) then
    -- It was killed, and its end has not been told yet: the message of a save must not be lost.
    on_exit(channel, 'unknown')
    ok, err = M.start()
    if not ok then
      return false, err
    end
    vim.rpcnotify(channel, HANDLER, { kind, payload })
  end
  return true
end

--- Sends a message to Python; never waits. Says once when that is impossible.
---@param kind string
---@param payload table
---@return boolean ok
function M.send(kind, payload)
  local ok, err = post(kind, payload)
  if not ok and not is_exiting() then
    tell_once(err --[[@as string]])
  end
  return ok
end

--- Sends a request; `callback` gets result or error, later.
---@param kind string
---@param payload table
---@param callback fun(result: any, err: {code: string, message: string}?)
---@return integer? id nil when the callback was already called
function M.request(kind, payload, callback)
  last_id = last_id + 1
  payload.id = last_id
  payload.cwd = payload.cwd or vim.fn.getcwd()
  pending[last_id] = callback
  local ok, err = post(kind, payload)
  if not ok then
    pending[payload.id] = nil
    callback(nil, {
      code = 'unavailable',
      message = err --[[@as string]],
    })
    return nil
  end
  return payload.id
end

--- Sends a request and waits for its answer: only for explicit commands of the user. Drawing goes
--- on meanwhile.
---@param kind string
---@param payload table
---@return any result
---@return {code: string, message: string}? err
function M.wait(kind, payload)
  local done, result, err
  local id = M.request(kind, payload, function(res, e)
    done, result, err = true, res, e
  end)
  local timeout_ms = require('agentdiff.config').get().timeout_ms
  if not done then
    waits = waits + 1
    vim.wait(timeout_ms, function()
      return done
    end, 2)
    waits = waits - 1
  end
  if not done then
    pending[id] = nil
    return nil, { code = 'unavailable', message = ('no answer within %d ms'):format(timeout_ms) }
  end
  return result, err
end

--- Whether a command of the user's waits for its answer. What changes where the next one of a
--- `:cdo` goes has to wait for its end.
---@return boolean
function M.is_waiting()
  return waits > 0
end

--- Asks the host, and waits: who runs there, and what it could not import.
---@return table? info
---@return string? err
function M.ping()
  local ok, err = M.start()
  if not ok then
    return nil, err
  end
  local fine, info = pcall(vim.rpcrequest, channel, PLUGIN .. ':function:AgentDiffPing', {})
  if not fine then
    return nil, tostring(info)
  end
  return info
end

--- Returns the command line that runs agentdiff's own CLI with these arguments.
---@param ... string
---@return string[]? argv
---@return string? err
function M.cli(...)
  local python, err = M.interpreter()
  if not python then
    return nil, err
  end
  local code = 'import sys; sys.path.insert(0, sys.argv.pop(1)); '
    .. 'from agentdiff.cli.main import main; sys.exit(main())'
  return { python, '-P', '-c', code, ROOT .. '/src', ... }
end

local handlers = {
  reply = function(message)
    local callback = pending[message.id]
    pending[message.id] = nil
    if callback then
      callback(message.result, message.error)
    end
  end,
  update = function(update)
    require('agentdiff.update').apply(update)
  end,
  watching = function(message)
    require('agentdiff.buffers').watching(message.path, message.workspace)
  end,
  lost = function()
    require('agentdiff.status').lost('the daemon')
  end,
  connected = function()
    require('agentdiff.status').connected()
  end,
  waiting = function(message)
    require('agentdiff.status').waiting(message)
  end,
  turn_ended = function(message)
    require('agentdiff.status').turn_ended(message)
  end,
  problem = function(message)
    require('agentdiff').notice(message.message, vim.log.levels.ERROR)
  end,
  broken = function(message)
    tell_once(message.message)
    fail_pending(message.message)
  end,
}

local CHANGES_TEXT = { update = true, watching = true }

--- Called by Python with a batch of `{kind, payload}`. What fails keeps nothing else from being
--- handled. An answer is never kept waiting: somebody may do nothing else until it comes.
---@param messages {[1]: string, [2]: table}[]
function M.deliver(messages)
  local step = require('agentdiff.failures').step
  for _, message in ipairs(messages) do
    local handle, payload = handlers[message[1]], message[2]
    if CHANGES_TEXT[message[1]] then
      require('agentdiff.gate').enter(function()
        handle(payload)
      end)
    else
      step(handle, payload)
    end
  end
end

return M
