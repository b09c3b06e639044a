# Testing; included by the Makefile, which says how an object and a test program are made.
#
# make test        everything; T=name keeps only the programs whose file name holds it
# make fuzz F=stream S=60

DEPS := gcc make pkg-config libevent-dev libssl-dev libinih-dev check libjansson-dev uthash-dev strace e2fsprogs
T ?=
F ?= stream
S ?= 60

# $(call pick,FILES): those that T asks for.
pick = $(if $(T),$(foreach file,$(1),$(if $(findstring $(T),$(notdir $(file))),$(file))),$(1))

FUZZ_TARGETS := $(filter tests/fuzz/fuzz_%.c,$(FUZZ_SRC))
REPLAYS      := $(patsubst tests/fuzz/fuzz_%.c,$(OBJ)/tests/fuzz/replay_%,$(FUZZ_TARGETS))
FUZZERS      := $(patsubst tests/fuzz/%.c,$(OBJ)/tests/fuzz/%,$(FUZZ_TARGETS))
SCRIPTS      := $(wildcard tests/e2e/*.sh)
PROGRAMS     := $(call pick,$(TESTS))
PLANTS       := $(call pick,tests/plants/plants.sh)
# Crash and simulation runs look for faults of order, not of memory, and are long: once is enough.
ASAN_TESTS   := $(call pick,$(patsubst %.c,$(BUILD)/asan/%,$(filter tests/unit/% tests/vectors/% tests/scenario/%,$(TEST_SRC))))
ASAN_REPLAYS := $(call pick,$(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/asan/tests/fuzz/replay_%,$(FUZZ_TARGETS)))
# The client library and the broker have modules of the same name and are never linked together.
CLIENT_TESTS := $(patsubst %.c,$(OBJ)/%,$(shell grep -l '"client-lib/' tests/unit/*.c tests/fuzz/*.c))
$(CLIENT_TESTS) $(subst /fuzz_,/replay_,$(CLIENT_TESTS)): TEST_LIBS := $(OBJ)/libsupport.a $(OBJ)/libclient.a
# The command line's own are linked with the modules of the program herald, its main excepted.
$(OBJ)/libcli.a: $(call objects,$(filter-out client-lib/cli/main.c,$(CLI_SRC)))
CLI_TESTS := $(patsubst %.c,$(OBJ)/%,$(wildcard tests/unit/test_cli_*.c))
$(CLI_TESTS): $(OBJ)/libcli.a
$(CLI_TESTS): TEST_LIBS := $(OBJ)/libsupport.a $(OBJ)/libcli.a $(OBJ)/libclient.a
PROTOCOL_TABLES := $(OBJ)/tests/docs/protocol_tables

# --- make test ------------------------------------------------------------------------------------------

# The compilers may just have been installed: what asks them about themselves must start afresh.
.PHONY: test
test: deps
	@$(MAKE) --no-print-directory test-run

# Both flavours are built with two compilers at a time. Scripts wait more than they work: three at a
# time. The plants run two of theirs.
.PHONY: test-run
test-run:
	@$(MAKE) --no-print-directory -j2 FLAVOUR=release test-build
	@$(MAKE) --no-print-directory -j2 FLAVOUR=asan asan-build
	@$(if $(PLANTS),$(MAKE) --no-print-directory -j2 FLAVOUR=plant plants-build)
	@OBJ=$(BUILD)/release BUILD=$(BUILD) T='$(T)' tests/run \
	    -j3 $(PROGRAMS:$(OBJ)/%=$(BUILD)/release/%) \
	    $(call pick,$(SCRIPTS)) -j1 $(if $(PLANTS),"$(PLANTS) $(BUILD)/plant/tests") \
	    CK_FORK=no UBSAN_OPTIONS=print_stacktrace=1 -j2 $(ASAN_TESTS) \
	    $(foreach replay,$(ASAN_REPLAYS),"$(replay) tests/seeds/$(patsubst replay_%,%,$(notdir $(replay)))") \
	    tests/tidy "$(BUILD)/release/tests/docs/protocol_tables --check protocol/PROTOCOL.md" \
	    "tests/docs/check_options $(BUILD)/release"

.PHONY: test-build
test-build: programs examples $(PROGRAMS) $(TOOLS) $(PROTOCOL_TABLES)

.PHONY: asan-build
asan-build: $(filter $(OBJ)/tests/unit/% $(OBJ)/tests/vectors/% $(OBJ)/tests/scenario/%,$(PROGRAMS)) $(call pick,$(REPLAYS))

# What a compiler has to say about every source, without objects: make warnings CC=clang
WARNINGS := $(patsubst %.c,warnings/%,$(PROTOCOL_SRC) broker/main.c $(BROKER_SRC) $(CLIENT_SRC) $(CLI_SRC) \
    $(EXAMPLE_SRC) $(SUPPORT_SRC) $(TEST_SRC) $(FUZZ_SRC) $(TOOL_SRC))
.PHONY: warnings $(WARNINGS)
warnings: $(WARNINGS)
warnings/tests/%: PART_WARN = $(TEST_WARN)
warnings/%: PART_WARN = $(WARN)
warnings/client-lib/examples/%: CPPFLAGS += -Iclient-lib
$(WARNINGS): warnings/%:
	$(Q)$(CC) -std=c11 $(CPPFLAGS) $(CFLAGS) $(PART_WARN) -fsyntax-only $*.c

.PHONY: tidy
tidy: $(call objects,$(PROTOCOL_SRC) $(BROKER_SRC))
	@OBJ=$(OBJ) tests/tidy -v

.PHONY: deps
deps:
	@tests/deps $(DEPS)

# --- fuzzing --------------------------------------------------------------------------------------------

# Seeds and some seconds of mutations without clang.
$(REPLAYS): $(OBJ)/tests/fuzz/replay_%: $(OBJ)/tests/fuzz/fuzz_%.o $(OBJ)/tests/fuzz/replay.o $(TEST_LIBS)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(OBJ)/tests/fuzz/replay.o $(TEST_LIBS) -lm $(LIBS) -ljansson

# With FLAVOUR=fuzz only: libFuzzer brings main.
$(FUZZERS): $(OBJ)/tests/fuzz/%: $(OBJ)/tests/fuzz/%.o $(TEST_LIBS)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(TEST_LIBS) -lm $(LIBS) -ljansson

# Two compilers at a time; each fuzzer finds its objects made.
.PHONY: fuzz-build
fuzz-build: $(FUZZERS)

.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory -j2 FLAVOUR=fuzz CC=clang $(BUILD)/fuzz/tests/fuzz/fuzz_$(F)
	@mkdir -p $(BUILD)/corpus/$(F) tests/seeds/$(F)
	$(BUILD)/fuzz/tests/fuzz/fuzz_$(F) -max_total_time=$(S) -max_len=65536 -timeout=10 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/corpus/$(F)- $(BUILD)/corpus/$(F) tests/seeds/$(F)

# --- crashes --------------------------------------------------------------------------------------------

CRASHES := $(patsubst %.c,$(OBJ)/%,$(wildcard tests/crash/*.c))
SEED    ?= 1

# The whole broker on a simulated disk and clock, from one seed.
.PHONY: sim
sim: $(CRASHES)
	$(OBJ)/tests/crash/crash_broker --seed $(SEED)

# Until it is stopped, or for SECONDS; ever new seeds. What it prints of a violation plays it again.
SECONDS ?= 0
.PHONY: crash
crash: $(CRASHES)
	@seed=$$(date +%s); end=$$((seed + $(SECONDS))); turn=60; \
	[ $(SECONDS) -eq 0 ] || [ $(SECONDS) -gt 240 ] || turn=$$(($(SECONDS) / 2)); \
	while [ $(SECONDS) -eq 0 ] || [ $$(date +%s) -lt $$end ]; do \
	    for program in $(filter %/crash_journal %/crash_broker %/crash_history %/model_queue,$(CRASHES)); do \
	        $$program --seed $$seed --seconds $$turn || exit 1; done; \
	    $(OBJ)/tests/crash/crash_flip --seed $$seed || exit 1; \
	    $(OBJ)/tests/crash/crash_flip_history --seed $$seed || exit 1; seed=$$((seed + 1)); done

# The broker's objects with an allocator that runs out of memory when it is told to.
$(OBJ)/libscarce.a: $(OBJ)/libbroker.a $(OBJ)/libprotocol.a
	@rm -rf $(OBJ)/scarce && mkdir -p $(OBJ)/scarce
	$(Q)cd $(OBJ)/scarce && for archive in $(abspath $^); do $(AR) x $$archive; done
	$(Q)for object in $(OBJ)/scarce/*.o; do objcopy --redefine-sym malloc=scarce_malloc \
	    --redefine-sym calloc=scarce_calloc --redefine-sym realloc=scarce_realloc \
	    --redefine-sym aligned_alloc=scarce_aligned_alloc \
	    --redefine-sym strdup=scarce_strdup --redefine-sym strndup=scarce_strndup \
	    --redefine-sym free=scarce_free $$object || exit 1; done
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJ)/scarce/*.o
SCARCE_TESTS := $(patsubst %.c,$(OBJ)/%,$(wildcard tests/crash/alloc_*.c))
$(SCARCE_TESTS): $(OBJ)/libscarce.a
$(SCARCE_TESTS): TEST_LIBS := $(OBJ)/libsupport.a $(OBJ)/libscarce.a

.PHONY: alloc
alloc: $(SCARCE_TESTS)
	@for program in $(SCARCE_TESTS); do $$program || exit 1; done

# --- planted bugs -------------------------------------------------------------------------------------------

# With FLAVOUR=plant: the broker with the bugs of broker/plants.def in it, the environment says which.
ifeq ($(FLAVOUR),plant)
CPPFLAGS += -DHERALD_PLANTS
$(OBJ)/libbroker.a: $(OBJ)/tests/plants/plant.o
endif
PLANT_PROGRAMS := crash/crash_journal crash/crash_broker crash/crash_flip crash/crash_history crash/model_queue \
    unit/test_commit unit/test_disk_real unit/test_connection unit/test_net unit/test_mover unit/test_retention \
    scenario/02-consume-order-and-return scenario/08-limits-and-pieces \
    scenario/13-retries scenario/14-tracked scenario/15-outcomes scenario/16-leases scenario/17-lanes scenario/18-repair \
    scenario/19-ways-out scenario/20-life-cycle scenario/21-history scenario/23-history-edges

.PHONY: plants-build
plants-build: $(PLANT_PROGRAMS:%=$(OBJ)/tests/%)

.PHONY: plants
plants:
	@$(MAKE) --no-print-directory -j2 FLAVOUR=plant plants-build
	@tests/plants/plants.sh $(BUILD)/plant/tests

# --- documents made from tables ----------------------------------------------------------------------------

$(PROTOCOL_TABLES): $(OBJ)/tests/docs/protocol_tables.o $(OBJ)/libsupport.a $(OBJ)/libprotocol.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

.PHONY: docs docs-protocol
docs: docs-protocol
docs-protocol: $(PROTOCOL_TABLES)
	$(PROTOCOL_TABLES) --write protocol/PROTOCOL.md

.PHONY: help
help:
	@echo 'make            build everything: build/heraldd, build/herald, build/libherald.so.1, examples'
	@echo 'make test       the whole suite, plain and with sanitizers; T=queue for what is named like it'
	@echo 'make tidy       sizes, floors, words, headers'
	@echo 'make warnings   what the other compiler says of every source: CC=clang'
	@echo 'make fuzz       F=stream S=60: a fuzzer for so many seconds (clang)'
	@echo 'make sim        SEED=1: the whole broker through simulated crashes, from one seed'
	@echo 'make crash      the same and the journal alone, with ever new seeds until stopped; SECONDS=60'
	@echo 'make alloc      the journal and the broker with every allocation failing in turn'
	@echo 'make plants     plants bugs, one at a time, and expects the suite to find each'
	@echo 'make bench      figures, beside what the machine does without a broker'
	@echo 'make docs       writes the parts of the documents that come from tables'
	@echo 'make deps       installs the packages that are missing (Debian)'
	@echo 'make demo       the main job on real input'
	@echo 'make install    DESTDIR, PREFIX; make uninstall takes it away again'
	@echo 'make clean'
	@echo 'FLAVOUR=release|asan|fuzz, BUILD=build, CC=gcc|clang'
