# Herald. `make help` says what there is.
#
# One object directory per flavour: build/release (the programs that are installed), build/asan (tests under
# AddressSanitizer and UndefinedBehaviorSanitizer), build/fuzz (libFuzzer, needs clang).

VERSION  := 0.1.0
SONAME   := libherald.so.1
BUILD    ?= build
FLAVOUR  ?= release
ifeq ($(origin CC),default)
CC       := gcc
endif
PREFIX   ?= /usr/local
OBJ      := $(BUILD)/$(FLAVOUR)

# `make V=1` shows the commands.
ifeq ($(V),1)
Q :=
else
Q := @
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wcast-align \
        -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef \
        -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion \
        -Wwrite-strings -Wdate-time -Werror
ifneq (,$(findstring gcc,$(shell $(CC) --version | head -1) $(CC)))
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wstringop-overflow=4
else
# clang sees the hash table's own code fall through its labels.
WARN := $(filter-out -Wimplicit-fallthrough,$(WARN))
endif
TEST_WARN := $(filter-out -Wconversion -Wsign-conversion,$(WARN))

CPPFLAGS += -I. -D_GNU_SOURCE -DHERALD_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
HARDEN   := -fstack-protector-strong -fPIC
# On x86 gcc would clear and copy structs of some hundred bytes by `rep stos` and `rep movs`, whose
# start alone takes longer: a tenth of what a message costs the broker.
ifneq (,$(and $(findstring gcc,$(CC)),$(findstring x86_64,$(shell $(CC) -dumpmachine))))
HARDEN   += -mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign \
            -mmemcpy-strategy=unrolled_loop:256:noalign,libcall:-1:noalign
endif
LIBS     := -levent_core -linih -ljansson -lssl -lcrypto -lpthread

ifeq ($(FLAVOUR),release)
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifeq ($(FLAVOUR),asan)
# Names and lines are what reports need; the tests themselves are compiled more often than they run.
CFLAGS   := -O1 -g1 -fno-omit-frame-pointer
$(OBJ)/tests/unit/%.o $(OBJ)/tests/scenario/%.o: CFLAGS := -O0 -g1 -fno-omit-frame-pointer
HARDEN   := -fPIC -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=address,undefined
endif
ifeq ($(FLAVOUR),fuzz)
CC       := clang
CFLAGS   := -O1 -g -fno-omit-frame-pointer
HARDEN   := -fPIC -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=address,undefined
endif

PROTOCOL_SRC := $(wildcard protocol/*.c)
BROKER_SRC   := $(filter-out broker/main.c,$(wildcard broker/*.c broker/core/*.c broker/net/*.c broker/store/*.c))
CLIENT_SRC   := $(wildcard client-lib/*.c)
CLI_SRC      := $(wildcard client-lib/cli/*.c)
SUPPORT_SRC  := $(wildcard tests/support/*.c)
EXAMPLE_SRC  := $(wildcard client-lib/examples/*.c)
TEST_SRC     := $(wildcard tests/unit/*.c tests/scenario/*.c tests/vectors/*.c tests/crash/*.c tests/sim/*.c)
FUZZ_SRC     := $(wildcard tests/fuzz/*.c)
TOOL_SRC     := $(wildcard tests/e2e/*.c)

objects = $(patsubst %.c,$(OBJ)/%.o,$(1))

.PHONY: all
all: programs examples

.PHONY: programs
programs: $(BUILD)/heraldd $(BUILD)/herald $(BUILD)/$(SONAME) $(BUILD)/libherald.a

# --- objects and archives -------------------------------------------------------------------------------

$(OBJ)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(CPPFLAGS) $(CFLAGS) $(TEST_WARN) $(HARDEN) -MMD -MP -c -o $@ $<

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -fvisibility=hidden -MMD -MP -c -o $@ $<

$(OBJ)/libprotocol.a: $(call objects,$(PROTOCOL_SRC))
$(OBJ)/libbroker.a: $(call objects,$(BROKER_SRC))
$(OBJ)/libclient.a: $(call objects,$(CLIENT_SRC) $(PROTOCOL_SRC))
$(OBJ)/libsupport.a: $(call objects,$(SUPPORT_SRC))
$(OBJ)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(OBJ)/heraldd: $(OBJ)/broker/main.o $(OBJ)/libbroker.a $(OBJ)/libprotocol.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OBJ)/herald: $(call objects,$(CLI_SRC)) $(OBJ)/libclient.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lpthread -ljansson

$(OBJ)/$(SONAME): $(call objects,$(CLIENT_SRC) $(PROTOCOL_SRC)) client-lib/libherald.map
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=client-lib/libherald.map \
	    -o $@ $(filter %.o,$^) -lssl -lcrypto -lpthread

# The finished programs stand in build/ itself, whatever lies beneath.
$(BUILD)/heraldd $(BUILD)/herald: $(BUILD)/%: $(OBJ)/%
	$(Q)cp -f $< $@
$(BUILD)/$(SONAME): $(OBJ)/$(SONAME)
	$(Q)cp -f $< $@
	$(Q)ln -sf $(SONAME) $(BUILD)/libherald.so
# The static library shows no name that the header does not have: programs have a buffer_init, too.
$(BUILD)/libherald.a: $(call objects,$(CLIENT_SRC) $(PROTOCOL_SRC))
	$(Q)$(LD) -r -o $(OBJ)/libherald.o $^
	$(Q)objcopy --localize-hidden $(OBJ)/libherald.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(OBJ)/libherald.o

# Examples are built the way a user's program is: from the installed header's name.
$(OBJ)/client-lib/examples/%.o: CPPFLAGS += -Iclient-lib
EXAMPLES := $(patsubst client-lib/examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SRC))
.PHONY: examples
examples: $(EXAMPLES)
$(BUILD)/examples/%: $(OBJ)/client-lib/examples/%.o $(OBJ)/libclient.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -Wl,--as-needed -levent_core -lssl -lcrypto -lpthread

# --- tests ------------------------------------------------------------------------------------------------

TESTS := $(patsubst %.c,$(OBJ)/%,$(TEST_SRC))
TOOLS := $(patsubst %.c,$(OBJ)/%,$(TOOL_SRC))
TEST_LIBS := $(OBJ)/libsupport.a $(OBJ)/libbroker.a $(OBJ)/libclient.a
# Check would note the place of every assertion that holds; see tests/support/check_main.c.
$(TESTS) $(TOOLS): $(OBJ)/%: $(OBJ)/%.o $(TEST_LIBS)
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=_mark_point -o $@ $< $(TEST_LIBS) -lcheck -lsubunit -lm -lrt $(LIBS) -ljansson

.PHONY: test-programs
test-programs: $(TESTS) $(TOOLS)

include tests.mk
include install.mk
include conf/docs.mk
-include demo.mk

docs: docs-conf

# Figures, never a test: they depend on the machine.
.PHONY: bench
bench: programs
	@tests/bench/bench.sh $(BUILD)

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
.SECONDARY:
