--- Where a line of :AgentDiff ends. Neovim knows one rule per command (|:command-bar|): with it,
--- what people write to an agent would end at `"` or be run after `|`; without it
--- `:AgentDiff qf | cc 2` would be an error. Must not know what a subcommand does.
local M = {}

-- What may stand before the reason of a reject.
local WORDS = { hunk = true, file = true, group = true, ['discard-user'] = true }

--- Whether a line ends with text of the user's, which no bar ends.
---@param args string
---@param bang boolean
---@return boolean
local function has_text(args, bang)
  local verb, rest = args:match('^(%a+)%s*(.*)$')
  while verb == 'reject' do
    local word, after = rest:match('^([%a-]+)%f[%s|%z]%s*(.*)$')
    if bang or word == 'all' then
      return false
    elseif not WORDS[word] then
      break
    end
    rest = after
  end
  return (verb == 'comment' or verb == 'reject') and rest ~= '' and not vim.startswith(rest, '|')
end

--- Cuts a line at the first bar or comment, as Neovim does.
---@param args string
---@return string head where `\|` has become `|`, and `\"` a quote
---@return string? rest the next command; nil when there is no bar
local function cut(args)
  local from = 1
  while true do
    local at = args:find('[|"]', from)
    if not at then
      return args
    elseif args:sub(at - 1, at - 1) == '\\' then
      args = args:sub(1, at - 2) .. args:sub(at)
      from = at
    else
      return args:sub(1, at - 1), args:sub(at, at) == '|' and args:sub(at + 1) or nil
    end
  end
end

--- Splits at blanks, as |<f-args>| does.
---@param text string
---@return string[]
function M.words(text)
  local out, word = {}, nil ---@type string[], string?
  for escaping, char in text:gmatch('(\\?)(.)') do
    if escaping == '' and char:match('%s') then
      out[#out + 1], word = word, nil
    else
      word = (word or '') .. (char:match('[\\%s]') and '' or escaping) .. char
    end
  end
  out[#out + 1] = word
  return out
end

--- Returns what stands behind the first bar that ends a line.
---@param args string
---@param bang boolean
---@return string? rest nil when there is none
function M.behind(args, bang)
  if not has_text(args, bang) then
    return select(2, cut(args))
  end
end

--- Runs a line of :AgentDiff.
---@param args string
---@param bang integer 1 when it was given
---@param range integer number of items in the range
---@param line1 integer
---@param line2 integer
---@return string rest for |:execute|: the command behind a bar
function M.run(args, bang, range, line1, line2)
  local ctx = { bang = bang == 1, range = range, line1 = line1, line2 = line2 }
  local rest ---@type string?
  if has_text(args, ctx.bang) then
    ctx.fargs = vim.split(args, '%s+', { trimempty = true })
  else
    args, rest = cut(args)
    ctx.fargs = M.words(args)
  end
  require('agentdiff.command').run('AgentDiff', ctx)
  return rest or ''
end

return M
