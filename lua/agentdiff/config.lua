--- Options: one schema table with defaults and types. Must not start or draw anything.
local M = {}

local OPEN = { 'current', 'split', 'vsplit', 'tab' }
local GROUP = { 'turn', 'session', 'agent', 'file' }

--- Every option: its default, and the type or the list of values that it takes.
local schema = {
  auto_attach = { true, 'boolean' },
  code_actions = { false, 'boolean' },
  python = { nil, 'string' },
  timeout_ms = { 10000, 'number' },
  inline = {
    enabled = { true, 'boolean' },
    deleted = { true, 'boolean' },
    signs = { true, 'boolean' },
    line = { true, 'boolean' },
    number = { false, 'boolean' },
    words = { true, 'boolean' },
    owner = { false, 'boolean' },
    count = { true, 'boolean' },
    sign_add = { '┃', 'string' },
    sign_change = { '┃', 'string' },
    sign_delete = { '▁', 'string' },
    sign_topdelete = { '▔', 'string' },
    priority = { 20, 'number' },
  },
  review = {
    open = { 'current', OPEN },
    group = { 'turn', GROUP },
    context = { 3, 'number' },
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

---@param value any
---@param kind string|string[]
---@return string? problem
local function mismatch(value, kind)
  if type(kind) == 'table' then
    if not vim.tbl_contains(kind, value) then
      return ('expected one of %s, got %s'):format(table.concat(kind, ', '), vim.inspect(value))
    end
  elseif kind == 'key' then
    if value ~= false and type(value) ~= 'string' then
      return ('expected a key or false, got %s'):format(vim.inspect(value))
    end
  elseif type(value) ~= kind then
    return ('expected %s, got %s'):format(kind, vim.inspect(value))
  end
end

---@param node table
---@param given any
---@param path string
---@param problems string[]
---@return any
local function merge(node, given, path, problems)
  if is_leaf(node) then
    local problem = given ~= nil and mismatch(given, node[2])
    if problem then
      table.insert(problems, ('%s: %s'):format(path, problem))
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
