/*
 * test_folder.c -- scratch files, also where the kernel cannot make them
 * without a name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "replication/folder.h"
#include "tests/unit/tempdir.h"

/* What open() makes of O_TMPFILE; 0: the kernel's answer. */
static int refusal;

int open(const char *path, int flags, ...);

/* In place of the C library's. */
int
open(const char *path, int flags, ...)
{
    va_list arguments;

    if (refusal != 0 && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = refusal;
        return -1;
    }
    va_start(arguments, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int
count_names(const char *folder)
{
    DIR *names = opendir(folder);
    int count = 0;

    assert_non_null(names);
    for (struct dirent *name; (name = readdir(names)) != NULL;)
        count += name->d_name[0] != '.';
    closedir(names);
    return count;
}

/* A file to write and read in, and no name to be left behind. */
static void
assert_unnamed(const char *folder)
{
    struct stat st;
    char got[4];
    int fd = folder_open_unnamed(folder);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "walk", 4, 5), 4);
    assert_int_equal(pread(fd, got, 4, 5), 4);
    assert_memory_equal(got, "walk", 4);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(count_names(folder), 0);
    close(fd);
}

static void
test_scratch_file_has_no_name(void **state)
{
    static const int refusals[] = { 0, EOPNOTSUPP, EISDIR, EINVAL };
    char folder[TEMPDIR_SIZE];

    (void)state;
    tempdir_make(folder, "folder");
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        refusal = refusals[i];
        assert_unnamed(folder);
    }
    refusal = 0;
    tempdir_remove(folder);
}

static void
test_other_failures_are_told(void **state)
{
    (void)state;
    refusal = ENOSPC;
    assert_int_equal(folder_open_unnamed("/"), -1);
    assert_int_equal(errno, ENOSPC);
    refusal = EOPNOTSUPP;
    assert_int_equal(folder_open_unnamed("/nowhere/at/all"), -1);
    assert_int_equal(errno, ENOENT);
    refusal = 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scratch_file_has_no_name),
        cmocka_unit_test(test_other_failures_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
