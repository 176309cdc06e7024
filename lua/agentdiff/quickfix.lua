--- Quickfix and location lists of hunks: filled, and kept true while they are ours. Must not touch
--- a list that the user has changed, nor wait for anybody.
local M = {}

local api = vim.api
local RETRY_MS = 20

---@class agentdiff.List
---@field workspace string
---@field win integer? whose location list it is; nil: a quickfix list
---@field id integer
---@field ids integer[] hunk of each entry, as they were put there
---@field tick integer of the list when they were

local lists = {} ---@type agentdiff.List[]
local arrived = {} ---@type table<string, table> the newest answer for each workspace, not yet shown
---@type table<string, 'once'|'again'> workspaces whose answer is on its way
local asking = {}

---@param status table the answer of `status`
---@return table[] items
---@return integer[] ids
local function entries(status)
  local items, ids = {}, {}
  for _, file in ipairs(status.files) do
    for _, hunk in ipairs(file.hunks) do
      local owner = hunk.owners and hunk.owners[1] or {}
      ids[#ids + 1] = hunk.id
      items[#items + 1] = {
        filename = require('agentdiff.report').path_on_disk(file, status.workspace),
        lnum = math.max(1, hunk.new_start or 1),
        text = ('%s -%d +%d  %s'):format(
          file.status,
          hunk.old_lines or 0,
          hunk.new_lines or 0,
          type(owner.agent) == 'string' and owner.agent or owner.kind or ''
        ),
        user_data = { agentdiff = hunk.id },
      }
    end
  end
  return items, ids
end

---@param list {win: integer?}
---@param what table
---@return table
local function get(list, what)
  return list.win and vim.fn.getloclist(list.win, what) or vim.fn.getqflist(what)
end

---@param list {win: integer?}
---@param action string
---@param what table
local function set(list, action, what)
  if list.win then
    vim.fn.setloclist(list.win, {}, action, what)
  else
    vim.fn.setqflist({}, action, what)
  end
end

--- Opens a new list of what pends.
---@param status table the answer of `status`
---@param loclist boolean that of the current window
function M.open(status, loclist)
  if vim.fn.getcmdwintype() ~= '' then
    require('agentdiff').notify('close the command-line window first', vim.log.levels.WARN)
    return
  end
  local items, ids = entries(status)
  local win = loclist and api.nvim_get_current_win() or nil
  set({ win = win }, ' ', { title = 'agentdiff', items = items })
  local now = get({ win = win }, { id = 0, changedtick = 0 })
  lists[#lists + 1] = {
    workspace = status.workspace,
    win = win,
    id = now.id,
    ids = ids,
    tick = now.changedtick,
  }
  -- Not sooner: what a user has for |FileType| `qf` shall find this list. |:cc| needs no window.
  local command = loclist and 'botright lopen' or 'botright copen'
  require('agentdiff.windows').try(command, 'the list is filled, but not shown')
end

--- Whether a list still has the entries that we put there, whatever is selected in it.
---@param list agentdiff.List
---@return boolean
local function is_ours(list)
  local now = get(list, { id = list.id, changedtick = 0 })
  if now.id ~= list.id then
    return false -- pushed out of the stack, or its window is gone
  elseif now.changedtick == list.tick then
    return true
  end
  local ids = vim.tbl_map(function(item)
    return type(item.user_data) == 'table' and item.user_data.agentdiff or 0
  end, get(list, { id = list.id, items = 0 }).items)
  return vim.deep_equal(ids, list.ids)
end

--- Returns where the hunk of an entry is now; of one that is gone, the next that is left.
---@param old integer[]
---@param places table<integer, integer> by id
---@param index integer
---@param count integer
---@return integer at least 1
local function moved(old, places, index, count)
  for i = index, #old do
    if places[old[i]] then
      return places[old[i]]
    end
  end
  return math.max(1, count)
end

--- Returns the windows that show a list, with their cursors.
---@param list agentdiff.List
---@return table<integer, integer[]>
local function cursors(list)
  local out = {}
  local now = get(list, { id = 0, qfbufnr = 0 })
  if now.id == list.id and now.qfbufnr > 0 then
    for _, win in ipairs(vim.fn.win_findbuf(now.qfbufnr)) do
      out[win] = api.nvim_win_get_cursor(win)
    end
  end
  return out
end

---@param list agentdiff.List
---@param items table[]
---@param ids integer[]
local function refill(list, items, ids)
  local places = {}
  for i, id in ipairs(ids) do
    places[id] = i
  end
  local shown = cursors(list)
  local index = get(list, { id = list.id, idx = 0 }).idx
  set(list, 'r', { id = list.id, items = items })
  if #items > 0 then
    set(list, 'r', { id = list.id, idx = moved(list.ids, places, index, #ids) })
  end
  for win, cursor in pairs(shown) do
    local line = moved(list.ids, places, cursor[1], #ids)
    api.nvim_win_set_cursor(win, { line, cursor[2] })
  end
  list.ids = ids
  list.tick = get(list, { id = list.id, changedtick = 0 }).changedtick
end

--- Lets lists go that are not ours any more.
local function tidy()
  lists = vim.tbl_filter(is_ours, lists)
end

--- Brings the lists up to date with the answers that came.
local function take()
  if next(arrived) == nil then
    return
  elseif require('agentdiff.rpc').is_waiting() then
    -- An entry that goes away in the midst of a |:cdo| would let it leave out the next one.
    vim.defer_fn(function()
      require('agentdiff.failures').step(take)
    end, RETRY_MS)
    return
  end
  tidy()
  for workspace, status in pairs(arrived) do
    arrived[workspace] = nil
    local items, ids = entries(status)
    for _, list in ipairs(lists) do
      if list.workspace == workspace then
        refill(list, items, ids)
      end
    end
  end
end

---@param workspace string
local function ask(workspace)
  if asking[workspace] then
    asking[workspace] = 'again'
    return
  end
  asking[workspace] = 'once'
  local request = { method = 'status', workspace = workspace }
  require('agentdiff.rpc').request('request', request, function(status)
    local again = asking[workspace] == 'again'
    asking[workspace] = nil
    if not status then
      return -- Nobody asked for it: nothing is said, and the update of the next daemon asks again.
    end
    arrived[workspace] = status
    require('agentdiff.gate').enter(take)
    if again then
      ask(workspace)
    end
  end)
end

--- Has the lists of a workspace follow an update.
---@param update agentdiff.Update
function M.follow(update)
  tidy()
  for _, list in ipairs(lists) do
    if list.workspace == update.workspace then
      ask(update.workspace)
      return
    end
  end
end

return M
