# make demo: builds Herald, starts it and runs its main job on the machine's own package log.

.PHONY: demo
demo:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory programs
	@BUILD=$(BUILD) tests/demo/demo.sh
