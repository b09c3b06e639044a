#!/bin/sh
# Installs into a folder, looks at every file, uninstalls, and looks again.
#
# usage: tests/e2e/install.sh [BUILD]     from the top of the tree; BUILD is the build directory
set -u
build=${1:-build}
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
passed=0
failed=0

check() # TEXT COMMAND...
{
    text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $text"
    fi
}

run_make() # TARGET [VARIABLE...]
{
    make -s BUILD="$build" DESTDIR="$root" "$@" >"$root.out" 2>&1 && rm -f "$root.out" && return
    cat "$root.out"
    rm -f "$root.out"
    return 1
}

list_files()
{
    (cd "$root" && find . ! -type d | LC_ALL=C sort)
}

expected_files() # PREFIX without its slash
{
    LC_ALL=C sort <<EOF
./$1/bin/herald
./$1/include/herald.h
./$1/lib/libherald.a
./$1/lib/libherald.so
./$1/lib/libherald.so.1
./$1/lib/pkgconfig/herald.pc
./$1/lib/systemd/system/herald.service
./$1/lib/sysusers.d/herald.conf
./$1/lib/tmpfiles.d/herald.conf
./$1/sbin/heraldd
./$1/share/bash-completion/completions/herald
./$1/share/man/man1/herald-bench.1
./$1/share/man/man1/herald-history.1
./$1/share/man/man1/herald.1
./$1/share/man/man3/herald.3
./$1/share/man/man5/herald.conf.5
./$1/share/man/man8/heraldd.8
./$1/share/zsh/site-functions/_herald
./etc/herald/herald.conf
EOF
}

has_no_files()
{
    test -z "$(list_files)"
}

no_marks_left()
{
    ! grep -rlE '@[A-Z]+@' "$root" --include=herald.service --include=herald.pc
}

# The unit's own score: 1.5 of 10 at most. Only the words of systemd-analyze say it.
is_hardened()
{
    score=$(systemd-analyze security --no-pager --offline=true "$1" 2>/dev/null |
        sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
    test -n "$score" && test "$(echo "$score" | tr -d .)" -le 15
}

check "make install PREFIX=/usr" run_make install PREFIX=/usr
check "the files of PREFIX=/usr" test "$(list_files)" = "$(expected_files usr)"
check "the unit starts what was installed" \
    grep -q '^ExecStart=/usr/sbin/heraldd ' "$root/usr/lib/systemd/system/herald.service"
check "nothing is left to fill in" no_marks_left
check "the library is found by its link" test -e "$root/usr/lib/libherald.so"
check "herald.pc is valid" \
    env PKG_CONFIG_PATH="$root/usr/lib/pkgconfig" sh -c 'command -v pkg-config >/dev/null || exit 0; pkg-config --validate herald'
check "the installed daemon accepts the installed configuration" \
    "$root/usr/sbin/heraldd" --check-config -c "$root/etc/herald/herald.conf"
check "completion of bash can be read" bash -n "$root/usr/share/bash-completion/completions/herald"
if command -v systemd-analyze >/dev/null; then
    cp "$root/usr/lib/systemd/system/herald.service" "$root/herald.service"
    sed -i 's,^ExecStart=.*,ExecStart=/bin/true,' "$root/herald.service"
    check "the unit is hardened" is_hardened "$root/herald.service"
    rm -f "$root/herald.service"
fi

check "make uninstall" run_make uninstall PREFIX=/usr
check "nothing is left" has_no_files
check "the directory of the configuration is gone" test ! -e "$root/etc/herald"

check "make install, default PREFIX" run_make install
check "the files of the default PREFIX" test "$(list_files)" = "$(expected_files usr/local)"
echo "# mine" >>"$root/etc/herald/herald.conf"
check "make install again" run_make install
check "install keeps a changed configuration" grep -q '^# mine' "$root/etc/herald/herald.conf"
check "make uninstall again" run_make uninstall
check "uninstall keeps a changed configuration" test "$(list_files)" = "./etc/herald/herald.conf"

echo "$passed passed, $failed failed"
test "$failed" -eq 0
