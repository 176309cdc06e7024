--- Code actions for the hunk under the cursor: a language server inside of Neovim, so that they
--- stand beside those of real ones wherever a user looks for them. Must not decide anything:
--- `actions` does.
local M = {}

local NAME = 'agentdiff'
-- A kind of its own: whoever asks for 'quickfix' or 'source' only, perhaps to apply it unseen, does
-- not get a decision about a hunk.
local KIND = 'agentdiff'
local COMMAND = 'agentdiff.'

---@param title string
---@param action string
---@param argument table?
local function offer(title, action, argument)
  local command = { title = title, command = COMMAND .. action, arguments = { argument } }
  return { title = title, kind = KIND, command = command }
end

---@param only string[]? kinds that are asked for
---@return boolean
local function wanted(only)
  for _, kind in ipairs(only or { '' }) do
    if kind == '' or kind == KIND then
      return true
    end
  end
  return false
end

--- Returns the actions for some lines.
---@param params {textDocument: {uri: string}, range: table, context: {only: string[]?}}
---@return table[]
local function offers(params)
  local buf = vim.uri_to_bufnr(params.textDocument.uri)
  local first, last = params.range.start.line + 1, params.range['end'].line + 1
  local inline = require('agentdiff.inline')
  if not wanted(params.context and params.context.only) then
    return {}
  end
  if first < last and #inline.ids_between(buf, first, last) > 0 then
    local lines = { first = first, last = last }
    return {
      offer('Accept the selected lines', 'accept-lines', lines),
      offer('Reject the selected lines', 'reject-lines', lines),
    }
  end
  local there = inline.at(buf, first)
  if not there then
    return {}
  end
  return vim.tbl_map(function(entry)
    local hunk = vim.endswith(entry[1], '-hunk')
    local title = hunk and ('%s (%s)'):format(entry[2], there.hunk.owner) or entry[2]
    return offer(title, entry[1])
  end, require('agentdiff.menu').OFFERS)
end

local answers = {
  initialize = function()
    return {
      capabilities = {
        codeActionProvider = { codeActionKinds = { KIND } },
        -- Nothing of the text has to be sent: the hunks are known.
        textDocumentSync = { openClose = false, change = 0 },
      },
      serverInfo = { name = NAME },
    }
  end,
  ['textDocument/codeAction'] = offers,
  shutdown = function()
    return vim.NIL
  end,
}

--- The server: what |vim.lsp.start()| calls instead of starting a process.
---@param dispatchers table
---@return table
local function serve(dispatchers)
  local closing, last_id = false, 0
  local function finish()
    if not closing then
      closing = true
      dispatchers.on_exit(0, 0)
    end
  end
  return {
    request = function(method, params, callback)
      last_id = last_id + 1
      local answer = answers[method]
      local id = last_id
      vim.schedule(function()
        if answer then
          callback(nil, answer(params))
        else
          callback({ code = -32601, message = 'not supported: ' .. method })
        end
      end)
      return true, id
    end,
    notify = function(method)
      if method == 'exit' then
        finish()
      end
      return true
    end,
    is_closing = function()
      return closing
    end,
    terminate = finish,
  }
end

---@return table<string, fun(command: table)>
local function commands()
  local out = {}
  for _, entry in ipairs(require('agentdiff.menu').OFFERS) do
    out[COMMAND .. entry[1]] = function()
      require('agentdiff.actions').run(entry[1])
    end
  end
  for _, op in ipairs({ 'accept', 'reject' }) do
    out[COMMAND .. op .. '-lines'] = function(command)
      local lines = command.arguments[1]
      require('agentdiff.actions').decide({
        op = op,
        scope = 'lines',
        first = lines.first,
        last = lines.last,
      })
    end
  end
  return out
end

--- Offers code actions in a buffer that has hunks, if the user wants that.
---@param buf integer
function M.attach(buf)
  local wanted_here = require('agentdiff.config').get().code_actions
  -- An unloaded buffer loses its clients.
  if not wanted_here or #vim.lsp.get_clients({ bufnr = buf, name = NAME }) > 0 then
    return
  end
  vim.lsp.start({ name = NAME, cmd = serve, commands = commands() }, {
    bufnr = buf,
    reuse_client = function(client)
      return client.name == NAME
    end,
  })
end

return M
