# `make install` and `make uninstall`, with DESTDIR and PREFIX.
#
# uninstall removes what install put there and nothing else: a configuration that was changed stays, and so
# does the data.

SYSCONFDIR     ?= /etc
SBINDIR        ?= $(PREFIX)/sbin
BINDIR         ?= $(PREFIX)/bin
LIBDIR         ?= $(PREFIX)/lib
INCLUDEDIR     ?= $(PREFIX)/include
MANDIR         ?= $(PREFIX)/share/man
PKGCONFIGDIR   ?= $(LIBDIR)/pkgconfig
UNITDIR        ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR    ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR    ?= $(PREFIX)/lib/tmpfiles.d
BASHCOMPDIR    ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR     ?= $(PREFIX)/share/zsh/site-functions
INSTALL        ?= install

INSTALLED_CONF := $(DESTDIR)$(SYSCONFDIR)/herald/herald.conf
PUT            := $(INSTALL) -D -m 644
FILL           := sed -e 's,@PREFIX@,$(PREFIX),g' -e 's,@SBINDIR@,$(SBINDIR),g' -e 's,@SYSCONFDIR@,$(SYSCONFDIR),g' \
                  -e 's,@LIBDIR@,$(LIBDIR),g' -e 's,@INCLUDEDIR@,$(INCLUDEDIR),g' -e 's,@VERSION@,$(VERSION),g'

# What install makes and uninstall removes.
INSTALLED := $(SBINDIR)/heraldd $(BINDIR)/herald \
             $(LIBDIR)/$(SONAME) $(LIBDIR)/libherald.so $(LIBDIR)/libherald.a $(PKGCONFIGDIR)/herald.pc \
             $(INCLUDEDIR)/herald.h \
             $(MANDIR)/man8/heraldd.8 $(MANDIR)/man5/herald.conf.5 $(MANDIR)/man3/herald.3 $(MANDIR)/man1/herald.1 \
             $(MANDIR)/man1/herald-bench.1 $(MANDIR)/man1/herald-history.1 \
             $(UNITDIR)/herald.service $(SYSUSERSDIR)/herald.conf $(TMPFILESDIR)/herald.conf \
             $(BASHCOMPDIR)/herald $(ZSHCOMPDIR)/_herald

# Files that are filled in or printed by a program, ready to be copied.
STAGE := $(BUILD)/install

.PHONY: stage install uninstall
stage: programs
	@mkdir -p $(STAGE)
	$(FILL) conf/herald.service >$(STAGE)/herald.service
	$(FILL) client-lib/herald.pc.in >$(STAGE)/herald.pc
	$(BUILD)/herald completion bash >$(STAGE)/herald.bash
	$(BUILD)/herald completion zsh >$(STAGE)/_herald

install: stage
	$(INSTALL) -D -m 755 $(BUILD)/heraldd $(DESTDIR)$(SBINDIR)/heraldd
	$(INSTALL) -D -m 755 $(BUILD)/herald $(DESTDIR)$(BINDIR)/herald
	$(PUT) $(BUILD)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libherald.so
	$(PUT) $(BUILD)/libherald.a $(DESTDIR)$(LIBDIR)/libherald.a
	$(PUT) $(STAGE)/herald.pc $(DESTDIR)$(PKGCONFIGDIR)/herald.pc
	$(PUT) client-lib/herald.h $(DESTDIR)$(INCLUDEDIR)/herald.h
	$(PUT) broker/heraldd.8 $(DESTDIR)$(MANDIR)/man8/heraldd.8
	$(PUT) conf/herald.conf.5 $(DESTDIR)$(MANDIR)/man5/herald.conf.5
	$(PUT) client-lib/herald.3 $(DESTDIR)$(MANDIR)/man3/herald.3
	$(PUT) client-lib/cli/herald.1 $(DESTDIR)$(MANDIR)/man1/herald.1
	$(PUT) client-lib/cli/herald-bench.1 $(DESTDIR)$(MANDIR)/man1/herald-bench.1
	$(PUT) client-lib/cli/herald-history.1 $(DESTDIR)$(MANDIR)/man1/herald-history.1
	$(PUT) $(STAGE)/herald.service $(DESTDIR)$(UNITDIR)/herald.service
	$(PUT) conf/sysusers.d/herald.conf $(DESTDIR)$(SYSUSERSDIR)/herald.conf
	$(PUT) conf/tmpfiles.d/herald.conf $(DESTDIR)$(TMPFILESDIR)/herald.conf
	$(PUT) $(STAGE)/herald.bash $(DESTDIR)$(BASHCOMPDIR)/herald
	$(PUT) $(STAGE)/_herald $(DESTDIR)$(ZSHCOMPDIR)/_herald
	test -e $(INSTALLED_CONF) || $(PUT) conf/herald.conf $(INSTALLED_CONF)
ifeq ($(DESTDIR),)
	@# Without root this cannot be done, and a library in a home directory does not need it.
	@ldconfig 2>/dev/null || true
	@echo "As a service: systemd-sysusers && systemctl daemon-reload && systemctl enable --now herald"
endif

uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	if cmp -s conf/herald.conf $(INSTALLED_CONF); then rm -f $(INSTALLED_CONF); fi
	if test -d $(dir $(INSTALLED_CONF)); then rmdir --ignore-fail-on-non-empty $(dir $(INSTALLED_CONF)); fi
ifeq ($(DESTDIR),)
	@ldconfig 2>/dev/null || true
endif
