--- What stands behind a subcommand: options with values, what they may be, and how they complete
--- from what is known here. Must not ask anybody, nor run anything.
local M = {}

local GROUPS = { 'turn', 'session', 'agent', 'file' }
M.GROUPS = GROUPS

---@param message string
local function refuse(message)
  require('agentdiff').notify(message, vim.log.levels.ERROR)
end

--- Returns the name of a buffer as `%` and `#` mean it.
---@param mark string `%`, `#` or `#` with a number
---@param modifiers string |filename-modifiers|, only such as cut
---@return string name empty when there is none
local function name_of(mark, modifiers)
  local buf = vim.fn.bufnr(#mark > 1 and tonumber(mark:sub(2)) or mark)
  modifiers = modifiers:gsub(':~', '') -- is absolute in the end
  local full = vim.startswith(modifiers, ':p')
  -- Not left to |fnamemodify()|: that would expand a file's own name that begins with ~.
  local name = full and vim.api.nvim_buf_get_name(buf) or vim.fn.bufname(buf)
  return buf > 0 and vim.fn.fnamemodify(name, full and modifiers:sub(3) or modifiers) or ''
end

--- Reads a `%`, `#` or `$VAR`.
---@param given string
---@param at integer where it stands
---@return string? meant
---@return integer|string next where the rest begins; or the problem
local function item(given, at)
  local name, behind = given:match('^%$([%a_][%w_]*)()', at)
  if not name then
    name, behind = given:match('^%${([%a_][%w_]*)}()', at)
  end
  if name or given:sub(at, at) == '$' then
    local value = name and vim.env[name]
    return value or '$', value and behind or at + 1
  end
  local mark
  mark, behind = given:match('^(%%)()', at)
  if not mark then
    mark, behind = given:match('^(#%d*)()', at)
  end
  local modifiers = ''
  while given:find('^:[phtre.~]', behind) do
    modifiers, behind = modifiers .. given:sub(behind, behind + 1), behind + 2
  end
  local meant = name_of(mark, modifiers)
  if meant == '' then
    return nil, 'there is no file name for ' .. mark .. modifiers
  end
  return meant, behind
end

--- Returns the name of a file or folder that was given to a command, with `%`, `#`, `~` and `$VAR`
--- as everywhere in Vim. Not by |expandcmd()|, which runs what stands between backticks, and with
--- it what a file is called: nothing is run or matched here, and what `%` means is not read again.
---@param given string
---@return string? name
---@return string? problem
---@return boolean? pattern whether it looks like one for several files
local function expand(given)
  local home, rest = given:match('^(~[%w_.-]*)(.*)$')
  local out, at, pattern = {}, 1, false
  if home and (rest == '' or vim.startswith(rest, '/')) then
    out[1], at = vim.fn.fnamemodify(home, ':p'):gsub('/+$', ''), #home + 1
  end
  while at <= #given do
    local char = given:sub(at, at)
    local meant, behind = given:match('^\\(.)()', at)
    if char == '`' then
      return nil, 'a ` in a name needs a backslash; nothing is run'
    elseif char == '%' or char == '#' or char == '$' then
      meant, behind = item(given, at)
      if not meant then
        return nil, behind --[[@as string]]
      end
    end
    pattern = pattern or char == '*' or char == '?'
    out[#out + 1] = meant or char
    at = meant and behind or at + 1
  end
  return table.concat(out), nil, pattern
end

---@param name string
---@return string
local function from_here(name)
  return vim.startswith(name, '/') and name or vim.fs.joinpath(vim.fn.getcwd(), name)
end

--- Returns the absolute path of a file or folder as it was given to a command: relative to the
--- working directory.
---@param given string
---@return string? path
---@return string? problem
local function absolute(given)
  local name, problem, pattern = expand(given)
  if not name then
    return nil, problem
  elseif name:match('^%a[%w+.-]*://') then
    return nil, name .. ' is no file'
  end
  local path = vim.fn.fnamemodify(from_here(name), ':p')
  path = #path > 1 and path:gsub('/+$', '') or path
  if pattern and not vim.uv.fs_lstat(path) then
    return nil, ('expected one file or folder, not %s (\\* is a *)'):format(given)
  end
  return path
end

--- Checks a value.
---@type table<string, fun(value: string): string?, string?>
local CHECKS = {
  path = absolute,
  group = function(value)
    if vim.tbl_contains(GROUPS, value) then
      return value
    end
    return nil, ('expected one of %s, not %s'):format(table.concat(GROUPS, ', '), value)
  end,
}

---@param name string
---@param value string
---@param out table<string, string> what was given before
---@return string? value
---@return string? problem
local function check(name, value, out)
  if value == '' then
    local expected = name == 'group' and ('one of ' .. table.concat(GROUPS, ', ')) or 'a value'
    return nil, ('expected %s, not nothing'):format(expected)
  elseif out[name] then
    return nil, 'given twice'
  elseif CHECKS[name] then
    return CHECKS[name](value)
  end
  return value
end

--- Reads options; says what is wrong with them.
---@param args string[]
---@param known string[]
---@return table<string, string>? options paths are absolute
function M.parse(args, known)
  local out = {}
  for _, arg in ipairs(args) do
    local name, value = arg:match('^(%w+)=(.*)$')
    if not name or not vim.tbl_contains(known, name) then
      local expected = table.concat(known, '=…, ')
      refuse(('unknown argument %s (expected %s=…)'):format(arg, expected))
      return nil
    end
    local problem
    value, problem = check(name, value, out)
    if not value then
      refuse(('%s: %s'):format(name, problem))
      return nil
    end
    out[name] = value
  end
  return out
end

--- Returns the headings of the reviews that are open: of the current one, if it is one.
---@return agentdiff.ReviewGroup[]
local function groups()
  local review = require('agentdiff.review')
  local here = review.get(vim.api.nvim_get_current_buf())
  local out = here and vim.list_extend({}, here.view.groups) or {}
  for _, buf in ipairs(here and {} or vim.api.nvim_list_bufs()) do
    local one = review.get(buf)
    vim.list_extend(out, one and one.view.groups or {})
  end
  return out
end

--- Returns a name as it has to be typed: the command takes one layer of backslashes off, and then
--- `expand` another.
---@param name string
---@return string
local function escape(name)
  return (vim.fn.fnameescape(name):gsub('\\\\', '\\\\\\\\'):gsub('^~', '\\~'))
end

--- Returns the files and folders that begin as it was typed. Not by |getcompletion()|, which takes
--- names for patterns and runs what stands between backticks.
---@param typed string
---@return string[]
local function files(typed)
  local words = require('agentdiff.bar').words
  local name = expand(words(typed)[1] or '')
  if not name then
    return {}
  end
  local folder, begun = name:match('^(.*/)(.*)$')
  folder, begun = folder or '', begun or name
  local before = typed:match('^.*/') or ''
  if typed:find('^[%%#]') or expand(words(before)[1] or '') ~= folder then
    before = escape(folder)
  end
  local out = {}
  local scan = vim.uv.fs_scandir(from_here(folder))
  while scan do
    local file, kind = vim.uv.fs_scandir_next(scan)
    if not file then
      break
    end
    local hidden = file:find('^%.') and not begun:find('^%.')
    local broken = (before .. file):find('\n') -- the line would end there
    if vim.startswith(file, begun) and not (hidden or broken) then
      local path = from_here(folder) .. '/' .. file
      local target = kind == 'link' and vim.uv.fs_stat(path) or { type = kind }
      out[#out + 1] = before .. escape(file) .. (target.type == 'directory' and '/' or '')
    end
  end
  table.sort(out)
  return out
end

--- Returns the values that an option may have.
---@param name string
---@return string[]
local function values(name)
  if name == 'group' then
    return GROUPS
  end
  local field = name == 'turn' and 'n' or name
  local out = name == 'agent' and require('agentdiff.status').agents() or {}
  for _, group in ipairs(groups()) do
    local value = group[field]
    out[#out + 1] = value ~= nil and value ~= vim.NIL and tostring(value) or nil
  end
  return vim.tbl_filter(function(value)
    return not value:find('[%s|"\\]') -- an agent's word must not end the command and begin another
  end, out)
end

--- Completes an argument.
---@param lead string
---@param options string[] names of those that it may be
---@param words string[] what else it may be
---@return string[]
function M.complete(lead, options, words)
  local name, value = lead:match('^(%w+)=(.*)$')
  local found = {}
  if name == 'path' and vim.tbl_contains(options, name) then
    return vim.tbl_map(function(file)
      return 'path=' .. file
    end, files(value))
  elseif name and vim.tbl_contains(options, name) then
    found = vim.tbl_map(function(one)
      return ('%s=%s'):format(name, one)
    end, values(name))
  else
    vim.list_extend(found, words)
    for _, option in ipairs(options) do
      found[#found + 1] = option .. '='
    end
  end
  return M.beginning(found, lead)
end

--- Returns what begins so, sorted, each once.
---@param words string[]
---@param lead string
---@return string[]
function M.beginning(words, lead)
  local out = {}
  for _, word in ipairs(words) do
    if vim.startswith(word, lead) and not vim.tbl_contains(out, word) then
      out[#out + 1] = word
    end
  end
  table.sort(out)
  return out
end

return M
