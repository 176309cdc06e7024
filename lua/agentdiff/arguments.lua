--- What stands behind a subcommand: options with values, what they may be, and how they complete
--- from what is known here. Must not ask anybody, nor run anything.
local M = {}

local GROUPS = { 'turn', 'session', 'agent', 'file' }

---@param message string
local function refuse(message)
  require('agentdiff').notify(message, vim.log.levels.ERROR)
end

--- Returns the absolute path of a file or folder as it was given to a command: relative to the
--- working directory, with `%`, `#`, `~` and `$VAR`, as everywhere in Vim.
---@param given string
---@return string? path
---@return string? problem
local function absolute(given)
  local ok, path = pcall(vim.fn.expandcmd, given, { errmsg = true })
  if not ok then
    return nil, (path:gsub('^Vim:', ''))
  elseif path:match('^%a[%w+.-]*://') then
    return nil, path .. ' is no file'
  end
  path = vim.fn.fnamemodify(path, ':p')
  return #path > 1 and path:gsub('/+$', '') or path
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

--- Returns a name as it has to be typed: `bar` takes one layer of backslashes off, and then
--- |expandcmd()| another.
---@param name string
---@return string
local function escape(name)
  return (vim.fn.fnameescape(name):gsub('\\\\', '\\\\\\\\'))
end

---@param typed string
---@return string[]
local function files(typed)
  local name = typed:gsub('\\(.)', '%1')
  if typed:find('^[%%#]') and not typed:find('`') then
    local ok, expanded = pcall(vim.fn.expandcmd, name, { errmsg = true })
    name = ok and expanded or name
  end
  local found = vim.tbl_filter(function(file)
    return not file:find('["\n]') -- cannot be typed: a comment begins, or the line ends
  end, vim.fn.getcompletion(name, 'file'))
  return vim.tbl_map(escape, found)
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
  return out
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
