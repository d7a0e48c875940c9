"""What every word and figure of a report means: the definitions of ``measuring.md`` in short, one paragraph each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """What a word of the report means, in one paragraph; ``anchor`` is its place in the glossary."""

    anchor: str
    title: str
    text: str

    @property
    def brief(self) -> str:
        """The first sentence, with the stop of its language."""
        stop = "。" if "。" in self.text else ". "
        return self.text.partition(stop)[0].removesuffix(".") + stop.strip()


# fmt: off
_FIGURES = (
    ("compile", "Compile",
     ("The runtime turns the model into its on-device artifact. The stage ends when the artifact is written and "
     "closed and the call into the runtime has returned: the file is complete for every other process. There is no "
     "fsync: the kernel may write it to the disk later, and that time is not part of compile. A runtime with nothing to "
     "compile leaves it unmeasured, never 0. Its time is the smallest of its runs, each in a fresh process.")),
    ("first_load", "First load",
     ("A fresh process loads the model with the runtime's caches wiped and the pages of model and artifact put out of "
     "the page cache. What it reads, the model or compile's artifact, is the runtime's affair: see what the stages mean "
     "here. The stage ends when the session is ready to infer; no inference is run inside. Its time is the smallest of "
     "its runs.")),
    ("warm_load", "Warm load",
     ("Another fresh process loads the same again, with the runtime's caches left in place and the files in the page "
     "cache. Its time is the smallest of its runs.")),
    ("inference", "Inference time",
     ("The smallest of all iterations of all processes, warm-up left out: noise only ever adds time, so the "
     "minimum is the best estimate of an undisturbed run. Inputs are generated once and bound outside the "
     "loop; between two clock readings stands one call to the runtime and nothing else.")),
    ("median", "Median",
     ("The middle of the stage's raw values over all its processes. The interval beside it covers the median "
     "with 95 % confidence, by bootstrap over processes and iterations.")),
    ("percentiles", "p90 and p99",
     ("The times that 90 % and 99 % of the iterations stayed within. p99 is told from 500 iterations on only, "
     "because fewer hold too few values above it.")),
    ("mad", "MAD",
     ("Median absolute deviation: the middle distance of the raw values from their median. A few slow "
     "iterations do not move it.")),
    ("throughput", "Iterations per second",
     ("The number of timed iterations over the sum of their times.")),
    ("iterations", "Iterations",
     ("The number of timed iterations over all processes, warm-up left out.")),
    ("first_inference", "First inference",
     ("The very first call after a load, always kept apart from the loop: whatever the runtime puts off until "
     "it is first used shows here.")),
    ("sustained", "Sustained run",
     ("The model infers without a pause for as long as was asked, in one process, after all else. Its beginning (the first minute, a quarter "
     "of a shorter run) is held against its steady state, the second half of what comes after it got slower, or of the whole run: "
     "medians of windows of a second or less. It got slower where a rank test finds a place from which on the windows stay slower, "
     "by 5 % at least (8 % on a virtual machine). It throttled where the device says so itself.")),
    ("peak", "Memory peak",
     ("The highest point inside the stage minus its start, in the same fresh process: what may get an app "
     "killed. Lower end: what only swap could take back (anonymous and shared memory, swap). Upper end: all "
     "that is resident, file-backed pages and the allocator's slack too, without the runtime's own libraries. Both ends "
     "are medians over the repeats.")),
    ("increase", "Memory increase",
     ("The end of the stage minus its start: what the stage leaves behind. Lower end: anonymous and shared "
     "memory and swap, after temporaries were released and the heap trimmed. Upper end: all that is resident, "
     "before trimming, without the runtime's own libraries. Both ends are medians over the repeats.")),
    ("growth", "Memory growth",
     ("What many inferences in one process leave behind: what is held after the last quarter of 400 iterations less that "
     "after the first, per 1,000 iterations. It is 0 where the difference is no larger than an allocator's noise. Where "
     "every quarter leaves more, it is a leak.")),
    ("peak_memory", "Peak memory",
     ("The upper end of the stage's memory peak as one figure (AI Hub's older key).")),
    ("process_total", "Process total peak",
     ("The highest memory of one process from before the runtime's import through load, first inference and loop: the "
     "plain answer to whether an app would be killed. Libraries are part of it. It is measured cold and warm, and the "
     "worse counts.")),
    ("runtime_import", "Runtime import",
     ("Time and memory that importing the runtime's library takes, before any stage: the stages hold what the "
     "model costs, not what the library costs.")),
    ("accelerator", "Accelerator memory",
     ("Bytes held on a GPU or NPU as the runtime reports them, under the runtime's own keys; never part of the "
     "host's ranges.")),
    ("io", "Input and output memory",
     ("Bytes of the inputs, and of the outputs that are bound to memory of ours; all of it is there before a stage "
     "starts. What a runtime allocates for outputs by itself counts in its stage.")),
    ("resolution", "Memory resolution",
     ("How exact the kernel's counters are on this device: its per-CPU counter batches may hide this much. A range "
     "that lies below it cannot be told from nothing, and is marked.")),
    ("cold", "Cold proof",
     ("Whether a first load really was cold: how much of the files was still resident just before it, how much "
     "it read from the disk, and its major page faults. The model and compile's artifact are put out of the page cache, "
     "whether or not a load reads both.")),
    ("files", "Files written",
     ("The compiled artifact, and the cache files that a first load leaves behind for the warm load.")),
    ("layers", "Layers and compute units",
     ("A layer's time is its median over the calm iterations of a separate layer pass (the fastest, where too few were "
     "calm, and then said so): one preemption makes no hot spot. A unit's share is counted by layers and by time: where the model "
     "really ran, not where it was asked to.")),
    ("layer_overhead", "Layer pass overhead",
     ("The sum of the layers' times, less what ran side by side, over the inference time, less 1: what watching the "
     "layers costs, and what disturbed them. Above 25 % the table of layers is disturbed, and blames nobody. It is "
     "negative where much time goes by between the layers, which is not in it.")),
    ("harness_floor", "Harness floor",
     ("What dynolab itself adds to every iteration: the time of an inference that does nothing.")),
    ("energy", "Energy per inference",
     ("What one inference costs, as the device's own sensors tell: the energy used while the model runs in a loop of its own, "
      "less what the idle device uses in the same time, over the iterations. Idle power is read just before and after each loop, "
      "and its drift is part of the uncertainty, as is what the loops differ by. What else runs on the device counts, too. The "
      "sensor is named beside the figure: a CPU's counters know nothing of a GPU, and a battery's gauge knows the screen as well.")),
    ("effort", "Wall time and work",
     ("How long the whole profile took, and the time spent inside its measuring processes.")),
    ("model", "Model facts",
     ("What the model file tells of itself: its size, its parameters, and the multiply-accumulates of one "
     "inference where they can be derived.")),
)

_WORDS = (
    ("verdict", "Verdict",
     ("How sure a number is. Clean: the ends of its range differ by 8 % at most. Noisy: the range is wider, and the reason "
     "beside it says why. Invalid: a condition did not hold, such as a first load that was not cold, memory in swap, or a "
     "clock held back for heat: the number is not what its name says. Memory comes from passes of its own and has a verdict "
     "of its own: only swapping and stalls for memory disturb it. A stage's verdict is the worse of time and memory.")),
    ("witnesses", "Witnesses",
     ("Readings taken just before and after a pass, such as run-queue delay, context switches, clock frequency, "
     "temperature and page faults. They tell whether the pass was disturbed.")),
    ("disturbances", "What disturbs a measurement",
     ("Its threads waited for a CPU: they could have run, but others had the processors. The CPU ran below its best speed: a "
     "short fixed piece of arithmetic, timed between windows of the loop, took longer than at its best, as when another "
     "program uses the same core or the clock is lower. The two fastest processes differ: where memory happens to lie makes "
     "a difference of some percent. A quieter machine helps: close other programs, and let dynolab doctor tell what is in "
     "the way.")),
    ("split", "Kinds of memory",
     ("What a stage holds more at its end than at its start. Anonymous: heap and stacks, only swap can take them. "
     "File-backed: pages of mapped files, which the system may drop and read again. Shared: shared memory and files on "
     "tmpfs. Swap: moved out of memory already.")),
    ("spread", "Spread",
     ("Smallest and largest of an end over the repeats. It stands beside the range: a range never widens "
     "because more repeats were run.")),
    ("warm_up", "Warm-up",
     ("Iterations before the running median settles. They are kept and marked, and counted in no statistic.")),
    ("fallback", "Fallback",
     ("A layer that ran on another compute unit than the first one that was asked for.")),
    ("changed", "Faster, slower, unchanged, cannot tell",
     ("What a comparison of two profiles says of a stage's time. Faster or slower: the ranges do not meet, and lie further "
     "apart than the A/A floor, the share by which figures of the same thing differ on a device (2 % unless another is given). "
     "Unchanged: both ranges are narrow and meet. Cannot tell: a wide range meets the other, or a number is missing or invalid. "
     "Memory is told by the spread over its passes; layers have no such answer.")),
)
# fmt: on

DEFINITIONS: dict[str, Definition] = {row[0]: Definition(*row) for row in (*_FIGURES, *_WORDS)}
"""Every definition by anchor, in the glossary's order: figures first, then words that are no figures."""
