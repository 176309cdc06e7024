--- Pending hunks in whatever picker the user has. Nothing of a picker is loaded before it is used,
--- and none is needed.
local M = {}

---@class agentdiff.PickItem
---@field path string absolute
---@field lnum integer 1-based
---@field text string

local TITLE = 'agentdiff: pending hunks'

--- Returns one item per pending hunk; asks the daemon, for a command of the user.
---@return agentdiff.PickItem[]? items nil with the reason told
function M.items()
  local status = require('agentdiff.report').ask('status')
  if not status then
    return nil
  end
  local out = {}
  for _, file in ipairs(status.files) do
    local name = file.path_b64 and vim.base64.decode(file.path_b64) or file.path
    for _, hunk in ipairs(file.hunks) do
      local owner = hunk.owners and hunk.owners[1] or {}
      local who = type(owner.agent) == 'string' and owner.agent or owner.kind or ''
      local lnum = math.max(1, hunk.new_start or 1)
      out[#out + 1] = {
        path = status.workspace .. '/' .. name,
        lnum = lnum,
        text = ('%s:%d  +%d -%d  %s'):format(
          require('agentdiff.report').one_line(file.path),
          lnum,
          hunk.new_lines or 0,
          hunk.old_lines or 0,
          who
        ),
      }
    end
  end
  return out
end

---@param item agentdiff.PickItem
local function go(item)
  vim.cmd("normal! m'")
  if require('agentdiff.windows').open(item.path, 'edit') then
    pcall(vim.api.nvim_win_set_cursor, 0, { item.lnum, 0 })
  end
end

---@param items agentdiff.PickItem[]
---@param opts table? of telescope
function M.telescope(items, opts)
  local config = require('telescope.config').values
  require('telescope.pickers')
    .new(opts or {}, {
      prompt_title = TITLE,
      finder = require('telescope.finders').new_table({
        results = items,
        entry_maker = function(item)
          return {
            value = item,
            display = item.text,
            ordinal = item.text,
            filename = item.path,
            lnum = item.lnum,
          }
        end,
      }),
      sorter = config.generic_sorter({}),
      previewer = config.grep_previewer({}),
    })
    :find()
end

---@param items agentdiff.PickItem[]
local function fzf(items)
  local lines = vim.tbl_map(function(item)
    return ('%s:%d:1:%s'):format(item.path, item.lnum, item.text)
  end, items)
  local lua = require('fzf-lua')
  lua.fzf_exec(lines, {
    prompt = TITLE .. '> ',
    previewer = 'builtin',
    actions = lua.defaults.actions.files,
  })
end

---@param items agentdiff.PickItem[]
local function snacks(items)
  local found = vim.tbl_map(function(item)
    return { text = item.text, file = item.path, pos = { item.lnum, 0 } }
  end, items)
  require('snacks').picker.pick({ title = TITLE, items = found, format = 'text' })
end

---@param items agentdiff.PickItem[]
local function mini(items)
  require('mini.pick').start({ source = { items = items, name = TITLE } })
end

---@param items agentdiff.PickItem[]
local function select(items)
  vim.ui.select(items, {
    prompt = TITLE,
    kind = 'agentdiff.hunk',
    format_item = function(item)
      return item.text
    end,
  }, function(item)
    if item then
      go(item)
    end
  end)
end

local PICKERS = {
  { name = 'telescope', module = 'telescope', open = M.telescope },
  { name = 'fzf', module = 'fzf-lua', open = fzf },
  { name = 'snacks', module = 'snacks', open = snacks },
  { name = 'mini', module = 'mini.pick', open = mini },
  { name = 'select', module = 'agentdiff.pick', open = select },
}

--- Returns the picker of that name, or the first that this session has loaded already.
---@param name string?
---@return table? picker
local function choose(name)
  for _, picker in ipairs(PICKERS) do
    if name and picker.name == name or not name and package.loaded[picker.module] then
      return picker
    end
  end
end

--- Offers the pending hunks.
---@param name string? one of `telescope fzf snacks mini select`
function M.open(name)
  local picker = choose(name)
  if not picker then
    require('agentdiff').notify(('pick: unknown picker %s'):format(name), vim.log.levels.ERROR)
    return
  elseif not pcall(require, picker.module) then
    require('agentdiff').notify(('pick: %s is not installed'):format(name), vim.log.levels.ERROR)
    return
  end
  local items = M.items()
  if not items then
    return
  elseif #items == 0 then
    require('agentdiff').notify('nothing pending')
  else
    picker.open(items)
  end
end

return M
