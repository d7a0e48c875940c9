# What the pages say in English. A language is one file like this; its name is the language's tag.
language-name = English

# Around every page
skip = Skip to the content
navigation = Main
pages = Pages
first-page = First page
next-page = Next page
language = Language
connection-lost = The hub does not answer. This page goes on by itself as soon as it does.
nothing-sent = Nothing was sent. What you typed stays here; try again when the hub answers.
jobs = Jobs
models = Models
datasets = Datasets
devices = Devices
submit-a-job = Submit a job
account-and-tokens = Account and tokens
definitions = Definitions
definitions-lead = What every word and figure means, and how it is measured.
api = API
sign-in = Sign in
sign-out = Sign out
api-token = API token
sign-in-refused = This token is not known here, or was revoked.
signed-out-elsewhere = You were signed out: this browser’s session has ended.
not-done = What you sent was not done.
where-is-my-token = The hub printed a token when it was first started; it also stands in the file client.ini in its data folder.
problem = This did not work
problem-NotFound = Not found
problem-Forbidden = Not allowed
problem-Unavailable = Not available now
problem-Bug = The hub failed
to-the-jobs = To the jobs

# Words for lists
search = Search
name-or-id = name or id
whole-name-or-id = whole name, or id
any = any
filter = Filter
filter-jobs = Filter jobs
clear = Clear
show-all = Show all
job = Job
name = Name
state = State
kind = Kind
kind-profile = Profile
kind-inference = Inference
model = Model
device = Device
creator = Creator
e-mail = E-mail address
created = Created
took = Took
began = Began
why = Why
inference-time = Inference
seconds = { $count } s
minutes-seconds = { $minutes } min { $seconds } s
hours-minutes = { $hours } h { $minutes } min
no-jobs-yet = There are no jobs yet.
no-jobs-match = No job matches.
or-from-a-terminal = Or from a terminal:
compare = Compare
compare-this = Compare { $name }

# The list of jobs: what is done from it
previous-page = Previous page
nothing-older = Nothing is older.
select = Select
select-all = Select all on this page
select-this = Select { $name }
selected-jobs = Selected
actions = Actions
actions-of = Actions: { $name }
rename-asks = Rename…
share-asks = Share…
delete-asks = Delete…
back = Back
ask-rename = Rename “{ $name }”
ask-share = Share “{ $name }”
ask-delete = Delete “{ $name }”?
ask-delete-several = Delete { NUMBER($count) } jobs?
ask-nothing = This cannot be done
delete-jobs-explained = The jobs, their results and their logs go for good. Models and datasets stay.
ask-stays = This stays as it is:
stays-live = it is not over, cancel it first
stays-anothers = it belongs to { $owner }
told-nothing = No job is selected. Select some first.
told-too-many = { NUMBER($count) } jobs are selected; at most { NUMBER($most) } fit side by side. Nothing was compared.
told-rename = The job is now called “{ $name }”.
told-share = “{ $name }” is shared with { $whom }.
told-share-stranger = “{ $name }” is shared with { $whom }. Nobody with this address has an account here yet.
told-unshare = “{ $name }” is no longer shared with { $whom }.
told-revoke = The token “{ $name }” is revoked.
told-sign-out = The browser is signed out.
told-sign-out-others = All other browsers are signed out.
told-rerun = { $count ->
    [1] “{ $name }” was submitted again:
   *[other] { NUMBER($count) } jobs were submitted again.
}
told-cancel = { $count ->
    [1] “{ $name }” is cancelled; if it was running, as soon as its device hears of it.
   *[other] { NUMBER($count) } jobs are cancelled; those that were running, as soon as their devices hear of it.
}
told-delete = { $count ->
    [1] “{ $name }” is deleted.
   *[other] { NUMBER($count) } jobs are deleted.
}
refused-rerun = Not submitted again:
refused-cancel = Not cancelled:
refused-delete = Not deleted:
refused-compare = Nothing was compared, because these cannot be:

# States
state-queued = queued
state-preparing = preparing
state-running = running
state-done = done
state-failed = failed
state-cancelled = cancelled
attempt-running = running
attempt-done = done
attempt-failed = failed
attempt-lost = lost
attempt-cancelled = cancelled
trust-clean = clean
trust-noisy = noisy
trust-invalid = invalid

# A job
runtime = Runtime
options = Options
inputs = Inputs
outputs = Outputs
attempts = Attempts
attempts-count = { $count } attempts
run-again = Run again
cancel = Cancel
download = Download
log = Log
log-shown = The end of the log
whole-log = The whole log
rename = Rename
share = Share
sharing-explained = Whom you share a job with can see it, and download its model and data.
stop-sharing = Stop
delete = Delete
delete-job-explained = The job, its results and its logs go for good. Model and datasets stay.
delete-for-good = Delete for good
why-it-failed = Why it failed
result-unreadable = The result cannot be shown
verdicts = Verdicts
layers = Layers
layers-of = Layers of { $name }
place-in-queue = { $place ->
    [1] It is next in the queue.
   *[other] { NUMBER($place) } in the queue: { NUMBER($place) } jobs until it begins.
}
requirements-met = { NUMBER($count) } met
requirements-not-met = { NUMBER($count) } not met
requirements-cannot-tell = { NUMBER($count) } cannot tell
list-comma = {", "}
shapes-were-chosen = The model leaves dimensions of its inputs open; sizes were chosen for it, see the notes below.
submit-with-shapes = Submit it with your own
artifact = Compiled artifact
artifact-explained = What compile made on the device, zipped.
no-artifact = None was kept: the runtime compiles nothing here, or the log says why.
stage-compile = Compile
stage-first_load = First load
stage-warm_load = Warm load
stage-inference = Inference

# Jobs compared
choose-jobs-to-compare = Choose jobs to compare
choose-explained = Two to { NUMBER($most) } jobs stand side by side; the first of them is the base that the others are held against.
compare-chosen = Chosen
jobs-of-model-or-device = Jobs of { $model } or on { $device }
nothing-to-compare-with = There is no other finished job of this model or device.
compared-jobs = { NUMBER($count) } jobs compared
compared-lead = Every difference is told from the base, A: { $base }.
compare-base = base
make-base = Make { $name } the base
leave-out = Leave out { $name }
add-a-job = Add a job
at-a-glance = At a glance
compare-figure = Figure
compare-time = Time
compare-bar = Bar
compare-setting = Setting
compare-layer = Layer
compare-type = Type
compare-unit = Unit
compare-moved = other unit
peak-of = { $stage } memory peak
times-of = { $stage }: times
memory-of = { $stage }: memory, { $part }
what-differs = What differs between the jobs
nothing-differs = Model file, device, system, runtime, versions and settings are the same.
apart-model = The model files are not the same: a difference may come from the model.
apart-device = The devices are not the same: a difference may come from the device.
apart-runtime = Runtimes or their versions are not the same: a difference may come from them.
apart-options = The options are not the same: a difference may come from them.
apart-inputs = The inputs’ shapes or types are not the same: a difference may come from them.
change-faster = faster
change-slower = slower
change-unchanged = unchanged
change-cannot-tell = cannot tell
cause-noisy = too noisy to tell
cause-wide = the runs scatter by more than this difference
in-full = In full
cannot-tell-what-next = Where it cannot be told, run both jobs again on a quieter machine; “dynolab doctor” says what is in the way there.
ends-differ = lower { $lower }, upper { $upper }
how-decided = A time is called faster or slower only where noise does not explain the difference; “cannot tell” says that noise might.
stage-by-stage = Stage by stage
bars-explained = Bars of one kind share a scale. Thin marks are how far runs of the same job lie apart; of memory, solid is the lower end of the range and hatched the rest.
below-resolution = less than memory is counted to
spreads-meet = within the spread of the repeats
spreads-apart = beyond the spread of the repeats
memory-without-verdict = Differences of memory are told without a verdict: no rule of noise is known for them. Where the spreads of the repeats meet, the difference may be chance.
layer-by-layer = Layer by layer
layers-compared = Layers compared
layers-matched = How the layers match
layer-counts = { NUMBER($matched) } layers matched by name with those of { $base }, { NUMBER($added) } added, { NUMBER($gone) } gone.
layers-sorted = The largest difference from { $base } stands first.
no-layers = No layers:
not-there = not there
all-layers = All layers
all-figures = All figures
name-type-or-unit = name, type or unit

# Submitting
submit = Submit
model-file = Model file
model-file-hint = Choose a file or drop it here: { $endings }. A model of several files comes as a .zip.
or-model-here = Or a model that is here
none-chosen = None
devices-hint = Choose one or more: each gets a job of its own.
boards-free = { $count ->
    [1] free
   *[other] { NUMBER($count) } free
}
boards-busy = { $count ->
    [1] busy
   *[other] { NUMBER($count) } busy
}
boards-away = { $count ->
    [1] not there now
   *[other] { NUMBER($count) } not there now
}
jobs-wait = { $count ->
    [1] one job waits
   *[other] { NUMBER($count) } jobs wait
}
no-device-yet = There is no device yet. On the machine that is to be one, with a token for agents:
profile-explained = Measure times and memory, with random inputs.
inference-explained = Run the model on a dataset and keep what it gives.
dataset-file = Dataset file
dataset-file-hint = Choose an HDF5 file or drop it here.
or-dataset-here = Or a dataset that is here
measure-as-well = Measure as well, with the first batch
options-of = For { $runtime }
options-without-effect = Without effect here
options-without-effect-explained = Accepted so that options written for AI Hub work; no runtime here reads them.
options-as-text = All options as text
options-as-text-hint = What the fields above say stands here, too. Either may be changed.
default-of = default: { $value }
default-of-runtime = the runtime’s own
default-of-format = that of the model’s format
it-takes = It takes: { $what }.
job-name = Name (the model’s, if empty)
more = More
priority = Priority
priority-hint = -10 to 10: the higher goes first.
deadline = Deadline in seconds
deadline-hint = How long an attempt may run. The time in the queue does not count.
waits-for = Waits for
waits-for-hint = Ids of jobs that must be done before this one is queued.
keep-artifact = Keep what compile makes
keep-artifact-hint = The optimised model, blob or package that was measured can then be downloaded.
input-shapes = Input shapes
input-shapes-field = One input on each line
input-shapes-hint = For dimensions that the model leaves open. Empty: 1 for the batch, 224 for an image’s side, 128 for a sequence; the profile says what was taken.
requirements = Requirements
requirements-field = One on each line
requirements-hint = The job’s page says which of them are met. A range has the ends .lower and .upper.
requirements-add = Add a figure
add = Add
uploading = Uploading
no-connection = no connection
submit-problems = { $count ->
    [1] Nothing was submitted: one thing has to be looked at.
   *[other] Nothing was submitted: { NUMBER($count) } things have to be looked at.
}
submitted-already = Submitted already:
jobs-submitted = { NUMBER($count) } jobs submitted

waited-for = Waited for
longest = May run for

# The graph
graph = Graph
graph-of = Graph of { $name }
layer-times = Layer times
heaviest-first = The heaviest first, as measured by
other-job = Another job of this model
show-its-layers = Show
layers-left-out = The { NUMBER($shown) } heaviest of { NUMBER($count) } layers are here.
no-such-node = no node of this name
no-layer-times = This job has no times of layers.
never-profiled = This model was not profiled yet.
graph-needs-script = The graph is drawn by JavaScript, which is off in this browser.
graph-linked = { $found } of { $count } layers are in the graph. Choose one to see it there, or a node there to see its time.
graph-unlinked = None of the { $count } layers has a node's name: the runtime renamed them.
graph-shown = Layer { $number } ({ $type }) is marked in the graph: { $nodes }.
graph-fused = Its result comes out there; the runtime fused nodes before it into this one { $type }.
graph-absent = Layer { $number }, { $name }: no single node in the file has this name; the runtime fused, made or renamed it.
graph-node = { $node }: { $layers }.
graph-node-layer = layer { $number }, { $time }, { $share }
graph-layerless = { $node } has no layer of its own: the runtime fused it with others, renamed it or left it out.
graph-layerless-of-shown = { $node } is none of the layers here: it is lighter, or the runtime fused it with others, renamed it or left it out.
graph-different = The viewer that is installed does not let layers be shown in the graph.
graph-unreadable = The viewer cannot draw this file: { $reason }
graph-undrawn = The viewer cannot draw files of this kind ({ $kind }).
graph-heat-under = under { $to } %
graph-heat-between = { $from } to { $to } %
graph-heat-over = { $from } % or more

# Models and datasets
dataset = Dataset
format = Format
size = Size
folder = a folder, zipped
not-uploaded = its upload is not complete
kept-until = Kept until
kept-for-good = for good
no-models-yet = There are no models yet. A job brings its model along.
no-datasets-yet = There are no datasets yet. An inference job brings its data along, and leaves its outputs here.
no-models-match = No model matches.
dataset-how = How to make a dataset file
dataset-how-client = With dynolab’s client, one array for each sample:
dataset-how-h5 = Or with h5py: a group data/0 with the attributes name (the input’s), batch_count and order (0), and in it the arrays batch_0, batch_1 and so on; data/1 for the next input.
no-datasets-match = No dataset matches.
made-by-job = Made by the job
sharing-model-explained = Whom you share a model with can see, download and measure it.
sharing-dataset-explained = Whom you share a dataset with can see, download and use it.
delete-model-explained = The model’s file goes for good. Jobs that used it keep their results, but cannot be run again.
delete-dataset-explained = The dataset’s file goes for good. Jobs that used it keep their results, but cannot be run again.
submit-a-job-with-this-model = Submit a job with this model
submit-a-job-with-this-dataset = Submit a job with this dataset
inputs-and-outputs = Inputs and outputs
shape = Shape
element-type = Element type
tensors-not-known = Not known yet: the hub opens no model file itself. The first job that measures the model tells.
tensors-as-in-job = The model leaves dimensions open; these are as in the run of
entries = Entries
entries-not-known = Not known yet: the hub opens no data file itself. The first job that uses the dataset tells.
entries-as-in-job = One sample of each, as told by the job
jobs-that-used-it = Jobs that used it
no-job-used-it = No job used it yet.
all-jobs-with-this-model = All jobs with this model
all-jobs-with-this-dataset = All jobs with this dataset
memory-peak = Memory peak

# Devices
device-words = name, system, attribute
board = Board
boards = Boards
boards-of = Boards of { $name }
board-free = free
board-busy = busy
board-away = away
more-boards = { $count ->
    [1] One more board
   *[other] { NUMBER($count) } more boards
}
what-it-does = At work on
anothers-job = a job of another account
since = since
last-seen = Last seen
known-since = Known since
queue = Queue
frameworks = Runs
attributes = Attributes
system = System { $version }
its-jobs = Its jobs
no-devices-yet = No device is known yet. A machine becomes one when an agent is started on it.
no-devices-match = No device matches.
how-to-start-an-agent = How to start an agent
what-it-did-last = What it did last
outcome = Outcome
attempt-number = attempt { $number }
it-did-nothing-yet = It has not had a job yet.

# Account
tokens = Tokens
tokens-explained = A user token opens the hub for you: for clients, commands and browsers. An agent token lets a machine serve as a device, and nothing else.
token-user = user
token-agent = agent
label = Label
label-example = such as: my laptop
no-label = without a label
this-browsers = this browser’s
make-a-token = Make a token
made-token-user = A new user token
made-token-agent = A new agent token
secret = Secret
secret-shown-once = Copy it now: it is shown this once, and kept nowhere.
what-to-do-with-user = It stands in the client.ini below
what-to-do-with-agent = It stands in the command below
copy = Copy
copied = Copied
revoke = Revoke
revoked = Revoked
revoked-tokens = { $count ->
    [1] One revoked token
   *[other] { NUMBER($count) } revoked tokens
}
revoke-for-good = Revoke for good
revoke-own-explained = This browser is signed in with it: you will be signed out.
revoke-explained-user = Clients and browsers that use it are refused at once.
revoke-explained-agent = The agent that uses it is refused at once; its device takes no more jobs.
use-the-official-client = Use AI Hub’s official client
where-client-ini = Write this to ~/.qai_hub/client.ini, or to a file that QAIHUB_CLIENT_INI names.
placeholder-explained = For YOUR_TOKEN make a user token above: it then stands here.
python-official = Then in Python, after: pip install qai-hub
use-our-client = Use dynolab’s client
sign-in-from-a-terminal = Once in a terminal; it asks for a user token
python-ours = Then in Python
serve-another-machine = Serve another machine as a device
agent-explained = On the other machine, with dynolab installed and an agent token from above, which only that machine should know:
agent-command = The agent’s command
address-is-here-only = { $address } leads to this machine only. For others to reach the hub, start it with --host and an address of this machine, best with HTTPS (--tls-certificate, --tls-key).
password = Password
password-explained = With your e-mail address it signs you in here, and with qai-hub configure.
no-password-yet = You have none: you sign in with a token. With one you can sign in by your e-mail address, here and with qai-hub configure.
current-password = Current password
new-password = New password
new-password-again = New password again
set-password = Set the password
remove-password = Remove the password
password-changed = The password is changed. All other browsers are signed out.
by-password = By e-mail address and password
use-password = Use the password
sign-in-too-often = Too many wrong passwords: wait a while. A token opens the hub meanwhile.
invitation-refused = This link is not valid, or was used already: it signs in once. Sign in with a token, or start the hub again for a new link.
password-refused = The e-mail address or the password is wrong.

# Browsers that are signed in
browsers = Browsers that are signed in
browsers-explained = Each ends when it is signed out, here or there, when the password changes, with the token that it was signed in by, and after 30 days.
browser = Browser
this-browser = this one
unknown-browser = It does not say its name
signed-in-by = Signed in by
signed-in-by-token = token
signed-in-by-password = password
signed-in-by-link = the link that the hub printed
signed-in-at = Signed in
end-session = Sign out
end-other-sessions = Sign out all others
last-used = Last used
to-minutes = within { $count } minutes

# Trends
trends = Trends
trend = Trend
trend-of = Trend of { $name }
trends-lead = The figures of one model or one device over time. Models of the same name count as one, however often they were uploaded anew.
show-trend = Show
measured-lately = Measured lately
both = this model on this device
no-trend-yet = Nothing was measured yet.
no-trend-here = No finished job measured that.
trend-explained-time = Each mark is a job. It is held against the last clean job before it, or where there is none against the job before, by the rule that compares two profiles: ▲ and ▼ stand where noise does not explain the difference. Thin lines are how far the job’s own runs lie apart.
trend-explained-memory = Each mark is a job: the bar is its range, the mark its upper end, thin lines the spread of the upper end over the repeats. Differences of memory are told without a verdict.
trend-marks = Marks
line-summary = { NUMBER($jobs) ->
    [one] One job.
   *[other] { NUMBER($jobs) } jobs.
}
line-changes = { NUMBER($changes) ->
    [0] No change was found from job to job.
    [one] One change was found.
   *[other] { NUMBER($changes) } changes were found.
}
first-to-last = From the first clean job to the last:
one-place-per-job = One place for each job, in the order that they were made.
scale-begins = The scale begins at { $start }, not at 0.
spread = Spread
since-before = Since the job before
held-against = Held against the job before
against-clean = clean job before:
against-not-clean = job before, not clean:
else-differing = What else differs
and-more = and { NUMBER($count) } more
other-lines = More lines
results-unreadable = { NUMBER($count) ->
    [one] The result of one job cannot be read; it is left out.
   *[other] The results of { NUMBER($count) } jobs cannot be read; they are left out.
}

# While a job waits and runs
waits-for-jobs = { $count ->
    [1] It waits for another job:
   *[other] It waits for { NUMBER($count) } other jobs:
}
begins-soon = It begins in a few seconds.
begins-in-seconds = It begins in about { NUMBER($count) } s.
begins-in-minutes = It begins in about { NUMBER($count) } min.
begins-in-hours = It begins in about { NUMBER($hours) } h { NUMBER($minutes) } min.
begins-no-board = No such device is there now: it begins once one is.
begins-no-history = When it begins cannot be told: nothing has been run on this device yet.
log-so-far = The log so far
