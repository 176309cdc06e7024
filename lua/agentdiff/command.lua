--- :AgentDiff and :AgentBaseline: subcommands, ranges, completion.
local M = {}

local levels = vim.log.levels

local function notify(message, level)
  require('agentdiff').notify(message, level)
end

---@param args string[]
---@param known string[]
---@return table<string, string>? options
local function parse(args, known)
  if #args == 0 then
    return {}
  end
  return require('agentdiff.arguments').parse(args, known)
end

local OWNERS = { 'agent', 'session', 'turn', 'call' }
-- Words of a decision that have no value, and how Python calls them.
local WORDS = { external = 'external', ['discard-user'] = 'discard_user' }

--- Whether a word of a decision may be said. What somebody typed is lost by a reject only.
---@param word string
---@param op 'accept'|'reject'
---@param scope string
---@return boolean
local function allowed(word, op, scope)
  return word == 'external' and scope == 'all' or word == 'discard-user' and op == 'reject'
end

--- Takes the words of a decision from its arguments: those of a reject's hunk or file stand before
--- the reason, which may have the same words.
---@param args string[]
---@param op 'accept'|'reject'
---@param scope string
---@return table<string, boolean>
local function take_words(args, op, scope)
  local out = {}
  for i = scope == 'all' and #args or 1, 1, -1 do
    local word = args[i]
    if word and allowed(word, op, scope) then
      out[WORDS[word]] = true
      table.remove(args, i)
    end
  end
  return out
end

---@param op 'accept'|'reject'
local function decide(op)
  return function(args, ctx)
    local scope = 'hunk'
    if vim.tbl_contains({ 'hunk', 'file', 'group', 'all' }, args[1]) then
      scope = table.remove(args, 1)
      if ctx.bang and scope ~= 'all' then
        notify(('%s: ! means all, not %s'):format(op, scope), levels.ERROR)
        return
      end
    elseif ctx.bang then
      scope = 'all'
    elseif ctx.range > 0 then
      scope = 'lines'
    end
    local intent = { op = op, scope = scope }
    intent = vim.tbl_extend('error', intent, take_words(args, op, scope))
    if scope == 'all' then
      local options = parse(args, OWNERS)
      if not options then
        return
      end
      intent = vim.tbl_extend('error', intent, options)
    elseif vim.tbl_contains(OWNERS, (args[1] or ''):match('^(%a+)=')) then
      notify(('%s: %s only with `all`'):format(op, args[1]), levels.ERROR)
      return
    elseif op == 'reject' and #args > 0 then
      intent.reason = table.concat(args, ' ')
    elseif #args > 0 then
      notify(('%s: unknown argument %s'):format(op, args[1]), levels.ERROR)
      return
    end
    if ctx.range > 0 then
      intent.first, intent.last = ctx.line1, ctx.line2
    end
    require('agentdiff.buffers').enable()
    require('agentdiff.actions').decide(intent)
  end
end

---@param name string
local function action(name)
  return function(_, ctx)
    if ctx.range > 0 then
      vim.api.nvim_win_set_cursor(0, { ctx.line2, 0 })
    end
    require('agentdiff.actions').run(name)
  end
end

---@param name string
local function report(name)
  return function(_, ctx)
    require('agentdiff.report')[name](ctx)
  end
end

local FILTERS = { 'agent', 'session', 'turn', 'call', 'path', 'group' }

---@param args string[]
local function review(args)
  local options = parse(args, FILTERS)
  if not options then
    return
  end
  require('agentdiff.review').open(options)
end

local function comment(args, ctx)
  require('agentdiff.about').comment({
    text = #args > 0 and table.concat(args, ' ') or nil,
    first = ctx.range > 0 and ctx.line1 or nil,
    last = ctx.range > 0 and ctx.line2 or nil,
  })
end

---@param what string
---@param word string? on, off, or nothing to switch over
---@param toggle fun(on: boolean?): boolean
local function switch(what, word, toggle)
  local wanted = ({ on = true, off = false })[word]
  if word and wanted == nil then
    notify(('%s: on or off, not %s'):format(what, word), levels.ERROR)
    return
  end
  require('agentdiff.report').echo({ ('%s %s'):format(what, toggle(wanted) and 'on' or 'off') })
end

local function install(args)
  local argv, err = require('agentdiff.rpc').cli('install', unpack(args))
  if not argv then
    notify(err, levels.ERROR)
    return
  end
  local cwd = vim.fn.getcwd()
  if not vim.uv.fs_stat(cwd) then
    notify('install: the working directory does not exist any more; :cd to another', levels.ERROR)
    return
  end
  vim.system(argv, { cwd = cwd, text = true }, function(done)
    vim.schedule(function()
      local lines = vim.split(vim.trim(done.stdout .. done.stderr), '\n')
      if #lines > 3 then
        require('agentdiff.report').show(lines, 'diff')
      else
        local text = table.concat(lines, '\n')
        notify(text ~= '' and text or 'done', done.code > 1 and levels.ERROR or levels.INFO)
      end
    end)
  end)
end

---@class agentdiff.Command
---@field run fun(args: string[], ctx: table)
---@field takes number? how many words it takes; none by default
---@field bang boolean?
---@field range boolean?
---@field words string[]? what its words may be
---@field options string[]? names of those that it takes

local ANY = math.huge
local SWITCH = { 'on', 'off' }
local DECISION = { 'hunk', 'file', 'group', 'all', 'external' }
local AGENTS = { 'claude', 'codex', 'copilot', 'gemini', 'opencode', 'qwen' }
local INSTALL = { '--detect', '--scope', 'user', 'project', 'local', '--dry-run' }
vim.list_extend(INSTALL, AGENTS)

---@type table<string, agentdiff.Command>
local diff_commands = {
  review = { run = review, takes = ANY, options = FILTERS },
  accept = {
    run = decide('accept'),
    takes = ANY,
    bang = true,
    range = true,
    words = DECISION,
    options = OWNERS,
  },
  reject = {
    run = decide('reject'),
    takes = ANY,
    bang = true,
    range = true,
    words = vim.list_extend({ 'discard-user' }, DECISION),
    options = OWNERS,
  },
  undo = { run = action('undo') },
  redo = { run = action('redo') },
  next = { run = action('next-hunk'), range = true },
  prev = { run = action('prev-hunk'), range = true },
  preview = { run = action('preview-hunk'), range = true },
  owner = { run = action('owner'), range = true },
  actions = { run = action('actions'), range = true },
  files = { run = report('files') },
  log = { run = report('log') },
  rejected = { run = report('rejected') },
  qf = { run = report('qf'), bang = true },
  pick = {
    run = function(args)
      require('agentdiff.pick').open(args[1])
    end,
    takes = 1,
    words = { 'telescope', 'fzf', 'snacks', 'mini', 'select' },
  },
  follow = {
    run = function(args)
      switch('follow', args[1], require('agentdiff.follow').toggle)
    end,
    takes = 1,
    words = SWITCH,
  },
  filter = { run = review, takes = ANY, options = FILTERS },
  explain = { run = action('explain'), range = true },
  comment = { run = comment, takes = ANY, range = true },
  feedback = {
    run = function()
      require('agentdiff.about').feedback()
    end,
  },
  inline = {
    run = function(args)
      switch('inline hunks', args[1], require('agentdiff.inline').toggle)
    end,
    takes = 1,
    words = SWITCH,
  },
  install = { run = install, takes = ANY, words = INSTALL },
  status = { run = report('status') },
}

---@param module string
---@param name string
local function baseline(module, name)
  return function(_, ctx)
    require('agentdiff.buffers').enable()
    require('agentdiff.' .. module)[name](ctx.bang)
  end
end

-- A turn, and whose it is where two sessions have that name.
local TURN = { 'turn', 'agent', 'session' }

local function restore(args, ctx)
  local options = parse(args, TURN)
  if options then
    require('agentdiff.buffers').enable()
    require('agentdiff.restore').restore(ctx.bang, options)
  end
end

---@type table<string, agentdiff.Command>
local baseline_commands = {
  show = { run = baseline('baseline', 'show') },
  list = { run = baseline('restore', 'list'), bang = true },
  set = { run = baseline('restore', 'set'), bang = true },
  restore = { run = restore, takes = ANY, bang = true, options = TURN },
  clear = { run = baseline('restore', 'clear') },
}

local commands = {
  AgentDiff = { default = 'review', sub = diff_commands },
  AgentBaseline = { default = 'show', sub = baseline_commands },
}

--- Returns what a command was given that it does not take: who meant something by it would believe
--- that it was done.
---@param command agentdiff.Command
---@param args string[]
---@param ctx table
---@return string? problem
local function excess(command, args, ctx)
  if ctx.bang and not command.bang then
    return 'no ! allowed'
  elseif ctx.range > 0 and not command.range then
    return 'no range allowed'
  elseif #args > (command.takes or 0) then
    return 'unknown argument ' .. args[command.takes and command.takes + 1 or 1]
  end
end

--- Runs a command line.
---@param name 'AgentDiff'|'AgentBaseline'
---@param ctx table what |nvim_create_user_command()| passes
function M.run(name, ctx)
  local args = vim.deepcopy(ctx.fargs)
  local sub = table.remove(args, 1) or commands[name].default
  local command = commands[name].sub[sub]
  if not command then
    local known = vim.tbl_keys(commands[name].sub)
    table.sort(known)
    notify(
      ('%s: unknown subcommand %s (one of %s)'):format(name, sub, table.concat(known, ', ')),
      levels.ERROR
    )
    return
  end
  local problem = excess(command, args, ctx)
  if problem then
    notify(('%s: %s'):format(sub, problem), levels.ERROR)
    return
  end
  command.run(args, ctx)
end

--- Completes another command, behind a bar of ours.
---@param line string
---@param lead string may have the bar in it
---@return string[]
local function complete_another(line, lead)
  local before = lead:match('^.*|') or ''
  local found = vim.tbl_map(function(word)
    return before .. word
  end, vim.fn.getcompletion(line, 'cmdline'))
  return require('agentdiff.arguments').beginning(found, lead)
end

--- Completes subcommands and their arguments.
---@param name 'AgentDiff'|'AgentBaseline'
---@param lead string
---@param line string the whole command line
---@param position integer of the cursor in it, in bytes
---@return string[]
function M.complete(name, lead, line, position)
  -- The name may be cut down to what Neovim takes for it, and other commands stand before it. What
  -- stands behind a bar of :AgentDiff is ours too, as Neovim sees it.
  local last = name == 'AgentBaseline' and '^.*' or ''
  local pattern = last .. '%f[%a]' .. name:sub(1, #'AgentX') .. '%a*(!?)%s*(.*)$'
  local bang, args = line:sub(1, position):match(pattern)
  local bar = require('agentdiff.bar')
  local another = name == 'AgentDiff' and bar.behind(args, bang == '!')
  if another then
    return complete_another(another, lead)
  end
  local words = bar.words(args:sub(1, #args - #lead))
  if #words == 0 then
    return require('agentdiff.arguments').beginning(vim.tbl_keys(commands[name].sub), lead)
  end
  local command = commands[name].sub[words[1]]
  if not command or #words > (command.takes or 0) then
    return {}
  end
  local options, known = command.options or {}, command.words or {}
  if options == OWNERS and bang ~= '!' and words[2] ~= 'all' then
    options = {} -- they limit nothing else
  end
  return require('agentdiff.arguments').complete(lead, options, known)
end

return M
