# Documents that are made from tables: `make docs` writes them, `make check-docs` compares.

OPTIONS_TABLE := $(OBJ)/options_table

$(OPTIONS_TABLE): $(OBJ)/conf/options_table.o
	$(CC) $(LDFLAGS) -o $@ $<

# $(call splice_options,table,page): the page with the table between its marks.
splice_options = sed -e '/BEGIN OPTIONS/r $(1)' -e '/BEGIN OPTIONS/,/END OPTIONS/{/OPTIONS/!d}' $(2)

$(OBJ)/conf/herald.conf.5: $(OPTIONS_TABLE) conf/herald.conf.5
	@mkdir -p $(@D)
	$(OPTIONS_TABLE) man >$(OBJ)/conf/options.man
	$(call splice_options,$(OBJ)/conf/options.man,conf/herald.conf.5) >$@
$(OBJ)/conf/herald.conf: $(OPTIONS_TABLE)
	@mkdir -p $(@D)
	$(OPTIONS_TABLE) sample >$@

.PHONY: docs-conf check-docs-conf
docs-conf: $(OBJ)/conf/herald.conf.5 $(OBJ)/conf/herald.conf
	cmp -s $(OBJ)/conf/herald.conf.5 conf/herald.conf.5 || cp $(OBJ)/conf/herald.conf.5 conf/herald.conf.5
	cmp -s $(OBJ)/conf/herald.conf conf/herald.conf || cp $(OBJ)/conf/herald.conf conf/herald.conf
check-docs-conf: $(OBJ)/conf/herald.conf.5 $(OBJ)/conf/herald.conf
	cmp $(OBJ)/conf/herald.conf.5 conf/herald.conf.5
	cmp $(OBJ)/conf/herald.conf conf/herald.conf
