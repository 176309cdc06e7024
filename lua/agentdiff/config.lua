--- Options: one schema table with defaults and types. Must not start or draw anything.
local M = {}

local OPEN = { 'current', 'split', 'vsplit', 'tab' }
local GROUP = { 'turn', 'session', 'agent', 'file' }

--- Every option: its default, and the kind or the list of values that it takes; of an integer the
--- least and the greatest. Words are one above the priority, which Neovim keeps in 16 bits.
local schema = {
  auto_attach = { true, 'boolean' },
  code_actions = { false, 'boolean' },
  python = { nil, 'string' },
  timeout_ms = { 10000, 'integer', 1, 2147483647 },
  inline = {
    enabled = { true, 'boolean' },
    deleted = { true, 'boolean' },
    signs = { true, 'boolean' },
    line = { true, 'boolean' },
    number = { false, 'boolean' },
    words = { true, 'boolean' },
    owner = { false, 'boolean' },
    count = { true, 'boolean' },
    sign_add = { '┃', 'sign' },
    sign_change = { '┃', 'sign' },
    sign_delete = { '▁', 'sign' },
    sign_topdelete = { '▔', 'sign' },
    priority = { 20, 'integer', 0, 65534 },
  },
  review = {
    open = { 'current', OPEN },
    group = { 'turn', GROUP },
    context = { 3, 'integer', 0, 2147483647 },
    winbar = { true, 'boolean' },
    keys = {
      ['accept-hunk'] = { 'a', 'key' },
      ['reject-hunk'] = { 'x', 'key' },
      ['accept-file'] = { 'A', 'key' },
      ['reject-file'] = { 'X', 'key' },
      ['accept-group'] = { 'gA', 'key' },
      ['reject-group'] = { 'gR', 'key' },
      ['accept-all'] = { 'ga', 'key' },
      ['reject-all'] = { 'gX', 'key' },
      ['undo'] = { 'u', 'key' },
      ['redo'] = { '<C-r>', 'key' },
      ['next-hunk'] = { ']c', 'key' },
      ['prev-hunk'] = { '[c', 'key' },
      ['next-file'] = { ']f', 'key' },
      ['prev-file'] = { '[f', 'key' },
      ['next-group'] = { ']]', 'key' },
      ['prev-group'] = { '[[', 'key' },
      ['open'] = { '<CR>', 'key' },
      ['open-file'] = { 'gf', 'key' },
      ['open-split'] = { '<C-w>f', 'key' },
      ['open-tab'] = { '<C-w>gf', 'key' },
      ['explain'] = { 'K', 'key' },
      ['comment'] = { 'gC', 'key' },
      ['cycle-group'] = { 'gs', 'key' },
      ['toggle-fold'] = { '=', 'key' },
      ['refresh'] = { 'R', 'key' },
      ['help'] = { 'g?', 'key' },
      ['close'] = { 'q', 'key' },
    },
  },
  keys = {
    ['accept-hunk'] = { false, 'key' },
    ['reject-hunk'] = { false, 'key' },
    ['accept-file'] = { false, 'key' },
    ['reject-file'] = { false, 'key' },
    ['accept-all'] = { false, 'key' },
    ['reject-all'] = { false, 'key' },
    ['undo'] = { false, 'key' },
    ['redo'] = { false, 'key' },
    ['explain'] = { false, 'key' },
    ['comment'] = { false, 'key' },
    ['next-hunk'] = { false, 'key' },
    ['prev-hunk'] = { false, 'key' },
    ['preview-hunk'] = { false, 'key' },
    ['select-hunk'] = { false, 'key' },
    ['owner'] = { false, 'key' },
    ['actions'] = { false, 'key' },
    ['review'] = { false, 'key' },
    ['baseline'] = { false, 'key' },
  },
}

local function is_leaf(node)
  return node[2] ~= nil
end

--- Whether Neovim takes a text as a sign.
local function is_sign(value)
  if type(value) ~= 'string' or value:find('%z') or vim.fn.strtrans(value) ~= value then
    return false
  end
  local width = vim.fn.strdisplaywidth(value)
  return width == 1 or width == 2
end

--- Whether Neovim takes a text as the left side of a mapping.
local function is_key(value)
  return type(value) == 'string' and value ~= '' and #vim.keycode(value) <= 50
end

---@param value any
---@param leaf table of the schema
---@return string? expected nil when the value is fine
local function mismatch(value, leaf)
  local kind = leaf[2]
  if type(kind) == 'table' then
    return not vim.tbl_contains(kind, value) and 'one of ' .. table.concat(kind, ', ') or nil
  elseif kind == 'key' then
    return value ~= false and not is_key(value) and 'a key or false' or nil
  elseif kind == 'sign' then
    return not is_sign(value) and 'a text that is one or two columns wide' or nil
  elseif kind == 'integer' then
    local whole = type(value) == 'number' and value == math.floor(value)
    local within = whole and value >= leaf[3] and value <= leaf[4]
    return not within and ('a whole number from %d to %d'):format(leaf[3], leaf[4]) or nil
  end
  return type(value) ~= kind and kind or nil
end

---@param node table
---@param given any
---@param path string
---@param problems string[]
---@return any
local function merge(node, given, path, problems)
  if is_leaf(node) then
    local expected = given ~= nil and mismatch(given, node)
    if expected then
      local got = vim.inspect(given)
      table.insert(problems, ('%s: expected %s, got %s'):format(path, expected, got))
      return node[1]
    end
    if given == nil then
      return node[1]
    end
    return given
  end
  if given ~= nil and type(given) ~= 'table' then
    table.insert(problems, ('%s: expected a table, got %s'):format(path, vim.inspect(given)))
    given = nil
  end
  local out = {}
  local prefix = path == '' and '' or path .. '.'
  for name, child in pairs(node) do
    out[name] = merge(child, given and given[name], prefix .. name, problems)
  end
  for name in pairs(given or {}) do
    if node[name] == nil then
      table.insert(problems, ('%s%s: unknown option'):format(prefix, tostring(name)))
    end
  end
  return out
end

local explicit ---@type table?
local cached ---@type table?

--- Merges options over the defaults.
---@param given table?
---@return table options
---@return string[] problems one per wrong or unknown option, each naming it
function M.resolve(given)
  local problems = {}
  local options = merge(schema, given, '', problems)
  table.sort(problems)
  return options, problems
end

--- Sets what `setup` was given; it goes over `vim.g.agentdiff`.
---@param opts table?
---@return string[] problems
function M.set(opts)
  explicit = opts
  cached = nil
  return M.problems()
end

local function given()
  local from_g = vim.g.agentdiff
  if type(from_g) == 'function' then
    from_g = from_g()
  end
  if from_g ~= nil and type(from_g) ~= 'table' then
    return explicit or {}, { 'vim.g.agentdiff: expected a table or a function' }
  end
  return vim.tbl_deep_extend('force', from_g or {}, explicit or {}), {}
end

--- Returns the options in force.
---@return table
function M.get()
  if not cached then
    cached = M.resolve((given()))
  end
  return cached
end

--- Returns what is wrong with the options, for health and `setup`.
---@return string[]
function M.problems()
  local opts, problems = given()
  local _, more = M.resolve(opts)
  return vim.list_extend(problems, more)
end

return M
