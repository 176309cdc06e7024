---@meta
-- Shapes shared with Python (src/agentdiff/nvim/views.py) and between Lua modules.

---@class (exact) agentdiff.ReviewHunks parallel lists, top to bottom
---@field id integer[]
---@field row integer[] 0-based row of the first line in the review buffer
---@field rows integer[] number of rows
---@field file integer[] 0-based index into `files`
---@field new integer[] 1-based line of the file that the first line of text shows, 0 for none

---@class agentdiff.ReviewGroup
---@field kind string of its owners
---@field agent string?
---@field session string?
---@field turn string?
---@field n integer? number of the turn
---@field row integer 0-based row of its heading

---@class agentdiff.ReviewFile
---@field path string relative to the workspace, lossy when not UTF-8
---@field path_b64 string? exact bytes when `path` is lossy
---@field status string
---@field coverage string
---@field row integer 0-based row of its heading
---@field group integer 0-based index into `groups`, -1 for none
---@field whole boolean whether all changes of the file stand here

---@class (exact) agentdiff.ReviewView
---@field token integer names this version of the view in intents
---@field base integer token of the version that `splices` change, 0 with `lines`
---@field seq integer
---@field group 'turn'|'session'|'agent'|'file'
---@field lines string[]? the whole text, or its head when there is a `file`
---@field file string? with the lines after these
---@field index_file string? with the letters of all lines, and the index
---@field splices {[1]: integer, [2]: integer, [3]: string[]}[]? 0-based half-open rows, new lines
---@field kinds string one letter per row: t f m h c d a n b
---@field groups agentdiff.ReviewGroup[]
---@field files agentdiff.ReviewFile[]
---@field hunks agentdiff.ReviewHunks
---@field index string JSON of `groups`, `files` and `hunks`, read when they are first asked for
---@field filters table<string, any>

---@class (exact) agentdiff.InlineHunk
---@field id integer
---@field kind string `text`, `created`, `mode`, `binary`…
---@field start integer 1-based first added line; for a pure deletion the line above it (0 = top)
---@field added integer
---@field removed integer
---@field deleted string[] the old lines
---@field mixed boolean
---@field owner string

---@class (exact) agentdiff.InlinePayload
---@field token integer
---@field seq integer
---@field path string name of the buffer
---@field status string
---@field coverage string
---@field moved_to string relative path (lossy) that the file was renamed to, '' otherwise
---@field hunks string JSON

---@class (exact) agentdiff.InlineView
---@field token integer
---@field seq integer
---@field path string name of the buffer
---@field status string
---@field coverage string
---@field moved_to string
---@field json string? what `hunks` was made of
---@field hunks agentdiff.InlineHunk[]

---@class agentdiff.Summary
---@field files integer
---@field hunks integer
---@field added integer
---@field removed integer
---@field state 'idle'|'working'|'waiting'|'error'
---@field agents string[]
---@field gone? boolean its folder is not there any more

---@class (exact) agentdiff.Update
---@field workspace string
---@field summary agentdiff.Summary
---@field inline agentdiff.InlinePayload[]
---@field written string[] names of buffers whose file changed on disk
---@field wrote string[] paths in the workspace that changed on disk, newest last
---@field review agentdiff.ReviewView?

---@class agentdiff.Status
---@field added integer
---@field changed integer
---@field removed integer
---@field hunks integer
---@field pending boolean
---@field agent string
---@field state string
---@field coverage string `exact`, or why the base cannot be restored; '' when nothing pends
