--- :AgentDiff and :AgentBaseline: subcommands, ranges, completion.
local M = {}

local levels = vim.log.levels

local function notify(message, level)
  require('agentdiff').notify(message, level)
end

---@param args string[]
---@param known string[]
---@return table<string, string>? options
local function parse_options(args, known)
  local out = {}
  for _, arg in ipairs(args) do
    local name, value = arg:match('^(%w+)=(.+)$')
    if not name or not vim.tbl_contains(known, name) then
      notify(
        ('unknown argument %s (expected %s=…)'):format(arg, table.concat(known, '=…, ')),
        levels.ERROR
      )
      return nil
    end
    out[name] = value
  end
  return out
end

local OWNERS = { 'agent', 'session', 'turn' }
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
    elseif ctx.bang then
      scope = 'all'
    elseif ctx.range > 0 then
      scope = 'lines'
    end
    local intent = { op = op, scope = scope }
    intent = vim.tbl_extend('error', intent, take_words(args, op, scope))
    if scope == 'all' then
      local options = parse_options(args, OWNERS)
      if not options then
        return
      end
      intent = vim.tbl_extend('error', intent, options)
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

local GROUPS = { 'turn', 'session', 'agent', 'file' }
local FILTERS = { 'agent', 'session', 'turn', 'path', 'group' }

---@param args string[]
local function review(args)
  local options = parse_options(args, FILTERS)
  if not options then
    return
  end
  if options.group and not vim.tbl_contains(GROUPS, options.group) then
    notify(
      ('group: expected one of %s, not %s'):format(table.concat(GROUPS, ', '), options.group),
      levels.ERROR
    )
    return
  end
  local shown = require('agentdiff.review').get(vim.api.nvim_get_current_buf())
  if shown then
    options.group = options.group or shown.view.group
  end
  require('agentdiff.review').open(options)
end

local function review_completion()
  local out = { 'agent=', 'session=', 'turn=', 'path=' }
  for _, group in ipairs(GROUPS) do
    out[#out + 1] = 'group=' .. group
  end
  return out
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

local function inline(args)
  switch('inline hunks', args[1], require('agentdiff.inline').toggle)
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

---@param op 'accept'|'reject'
local function decision_completion(op)
  return function()
    local words = { 'hunk', 'file', 'group', 'all', 'agent=', 'session=', 'turn=', 'external' }
    if op == 'reject' then
      words[#words + 1] = 'discard-user'
    end
    return words
  end
end

local diff_commands = {
  review = { run = review, complete = review_completion },
  accept = { run = decide('accept'), complete = decision_completion('accept') },
  reject = { run = decide('reject'), complete = decision_completion('reject') },
  undo = { run = action('undo') },
  redo = { run = action('redo') },
  next = { run = action('next-hunk') },
  prev = { run = action('prev-hunk') },
  preview = { run = action('preview-hunk') },
  owner = { run = action('owner') },
  actions = { run = action('actions') },
  files = { run = report('files') },
  log = { run = report('log') },
  rejected = { run = report('rejected') },
  qf = { run = report('qf') },
  pick = {
    run = function(args)
      require('agentdiff.pick').open(args[1])
    end,
    complete = function()
      return { 'telescope', 'fzf', 'snacks', 'mini', 'select' }
    end,
  },
  follow = {
    run = function(args)
      switch('follow', args[1], require('agentdiff.follow').toggle)
    end,
    complete = function()
      return { 'on', 'off' }
    end,
  },
  filter = { run = review, complete = review_completion },
  explain = { run = action('explain') },
  comment = { run = comment },
  feedback = {
    run = function()
      require('agentdiff.about').feedback()
    end,
  },
  inline = {
    run = inline,
    complete = function()
      return { 'on', 'off' }
    end,
  },
  install = {
    run = install,
    complete = function()
      local words = { 'claude', 'codex', 'copilot', 'gemini', 'opencode', 'qwen', '--detect' }
      return vim.list_extend(words, { '--scope', 'user', 'project', 'local', '--dry-run' })
    end,
  },
  status = { run = report('status') },
}

--- Refuses words that a verb does not take.
---@param run fun(ctx: table)
---@param op string
local function plain(run, op)
  return function(args, ctx)
    if #args > 0 then
      notify(('%s: unknown argument %s'):format(op, args[1]), levels.ERROR)
      return
    end
    require('agentdiff.buffers').enable()
    run(ctx)
  end
end

local function restore(args, ctx)
  local options = parse_options(args, { 'turn' })
  if options then
    require('agentdiff.buffers').enable()
    require('agentdiff.restore').restore(ctx.bang, options.turn)
  end
end

local baseline_commands = {
  show = {
    run = function()
      require('agentdiff.buffers').enable()
      require('agentdiff.baseline').show()
    end,
  },
  list = {
    run = plain(function(ctx)
      require('agentdiff.restore').list(ctx.bang)
    end, 'list'),
  },
  set = {
    run = plain(function(ctx)
      require('agentdiff.restore').set(ctx.bang)
    end, 'set'),
  },
  restore = {
    run = restore,
    complete = function()
      return { 'turn=' }
    end,
  },
  clear = {
    run = plain(function()
      require('agentdiff.restore').clear()
    end, 'clear'),
  },
}

local commands = {
  AgentDiff = { default = 'review', sub = diff_commands },
  AgentBaseline = { default = 'show', sub = baseline_commands },
}

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
  command.run(args, ctx)
end

--- Completes subcommands and their arguments.
---@param name 'AgentDiff'|'AgentBaseline'
---@param lead string
---@param line string the whole command line
---@param position integer of the cursor in it, in bytes
---@return string[]
function M.complete(name, lead, line, position)
  -- The name may be cut down to what Neovim takes for it, and another command stand before it.
  local command_name = '^.*' .. name:sub(1, #'AgentX') .. '%a*!?%s+'
  local words = vim.split(line:sub(1, position):gsub(command_name, ''), '%s+')
  local candidates
  if #words <= 1 then
    candidates = vim.tbl_keys(commands[name].sub)
  else
    local command = commands[name].sub[words[1]]
    candidates = command and command.complete and command.complete() or {}
  end
  table.sort(candidates)
  return vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, lead)
  end, candidates)
end

return M
