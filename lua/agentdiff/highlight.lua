--- Highlight groups, all of them links that a colour scheme or the user may override.
local M = {}

--- Group → what it links to.
M.groups = {
  AgentDiffTitle = 'Title',
  AgentDiffFile = 'Directory',
  AgentDiffMeta = 'Comment',
  AgentDiffHunk = 'Statement',
  AgentDiffContext = 'Normal',
  AgentDiffAdded = 'DiffAdd',
  AgentDiffDeleted = 'DiffDelete',
  AgentDiffAddedWord = 'DiffText',
  AgentDiffDeletedWord = 'DiffText',
  AgentDiffNoNewline = 'NonText',
  AgentDiffStale = 'WarningMsg',
  AgentDiffInlineAdded = 'DiffAdd',
  AgentDiffInlineChanged = 'DiffChange',
  AgentDiffInlineDeleted = 'DiffDelete',
  AgentDiffInlineAddedWord = 'DiffText',
  AgentDiffInlineDeletedWord = 'DiffText',
  AgentDiffOwner = 'Comment',
  AgentDiffCount = 'Comment',
  AgentDiffConflict = 'DiffText',
  AgentDiffSignAdd = 'Added',
  AgentDiffSignChange = 'Changed',
  AgentDiffSignDelete = 'Removed',
}

local function link()
  for group, target in pairs(M.groups) do
    vim.api.nvim_set_hl(0, group, { link = target, default = true })
  end
end

--- Defines the groups, now and after every change of colour scheme.
function M.setup()
  link()
  vim.api.nvim_create_autocmd('ColorScheme', {
    group = vim.api.nvim_create_augroup('agentdiff.highlight', {}),
    callback = link,
  })
end

return M
