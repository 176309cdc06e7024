---@meta
-- Shapes shared with Python (src/agentdiff/nvim/views.py) and between Lua modules.

---@class (exact) agentdiff.ReviewHunk
---@field id integer
---@field row integer 0-based row of its first line in the review buffer
---@field rows integer number of its rows
---@field file integer 0-based index into `files`
---@field mixed boolean whether the user has lines in it
---@field owner string for display

---@class agentdiff.ReviewFile
---@field path string relative to the workspace, lossy when not UTF-8
---@field path_b64 string? exact bytes when `path` is lossy
---@field status string
---@field row integer 0-based row of its heading

---@class (exact) agentdiff.ReviewView
---@field token integer names this version of the view in intents
---@field seq integer
---@field lines string[]
---@field kinds string one letter per row: t f m h c d a n b
---@field lnums integer[] 1-based line of the file per row, 0 for none
---@field files agentdiff.ReviewFile[]
---@field hunks agentdiff.ReviewHunk[]
---@field filters table<string, string>

---@class (exact) agentdiff.InlineHunk
---@field id integer
---@field kind string `text`, `created`, `mode`, `binary`…
---@field start integer 1-based first added line; for a pure deletion the line above it (0 = top)
---@field added integer
---@field removed integer
---@field deleted string[] the old lines
---@field mixed boolean
---@field owner string

---@class (exact) agentdiff.InlineView
---@field token integer
---@field seq integer
---@field path string name of the buffer
---@field status string
---@field coverage string
---@field hunks agentdiff.InlineHunk[]

---@class agentdiff.Summary
---@field files integer
---@field hunks integer
---@field added integer
---@field removed integer
---@field state 'idle'|'working'|'waiting'|'error'
---@field agents string[]

---@class (exact) agentdiff.Update
---@field workspace string
---@field summary agentdiff.Summary
---@field inline agentdiff.InlineView[]
---@field written string[] names of buffers whose file changed on disk
---@field review agentdiff.ReviewView?

---@class agentdiff.Status
---@field added integer
---@field changed integer
---@field removed integer
---@field hunks integer
---@field pending boolean
---@field agent string
---@field state string
