# make demo: builds Herald, starts it and runs its main job on the machine's own package log.

.PHONY: demo
demo:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory programs
	@BUILD=$(BUILD) tests/demo/demo.sh

# --- the tests of the command line ------------------------------------------------------------------------

# They are linked with the modules of the program herald, its main excepted.
$(OBJ)/libcli.a: $(call objects,$(filter-out client-lib/cli/main.c,$(CLI_SRC)))
CLI_TESTS := $(patsubst %.c,$(OBJ)/%,$(wildcard tests/unit/test_cli_*.c))
$(CLI_TESTS): $(OBJ)/libcli.a
$(CLI_TESTS): TEST_LIBS := $(OBJ)/libsupport.a $(OBJ)/libcli.a $(OBJ)/libclient.a
