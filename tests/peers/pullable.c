/* vpcd behind a cable that can be pulled: while the file UNPLUGGED is there, the reader is not. Compiled by vpcd.py. */
#include <dlfcn.h>
#include <unistd.h>
#include <PCSC/wintypes.h>
#include <PCSC/ifdhandler.h>
static void *real(const char *name) {
    static void *library;
    if (!library) library = dlopen(VPCD, RTLD_NOW | RTLD_LOCAL);
    return dlsym(library, name);
}
static int unplugged(void) { return access(UNPLUGGED, F_OK) == 0; }
#define PASS(NAME, TAKES, GIVES) \
    RESPONSECODE NAME TAKES { \
        if (unplugged()) return IFD_NO_SUCH_DEVICE; \
        return ((RESPONSECODE(*) TAKES)real(#NAME)) GIVES; }
PASS(IFDHCreateChannelByName, (DWORD lun, LPSTR name), (lun, name))
PASS(IFDHCreateChannel, (DWORD lun, DWORD channel), (lun, channel))
PASS(IFDHGetCapabilities, (DWORD lun, DWORD tag, PDWORD length, PUCHAR value), (lun, tag, length, value))
PASS(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value), (lun, tag, length, value))
PASS(IFDHSetProtocolParameters, (DWORD lun, DWORD protocol, UCHAR flags, UCHAR p1, UCHAR p2, UCHAR p3), (lun, protocol, flags, p1, p2, p3))
PASS(IFDHPowerICC, (DWORD lun, DWORD action, PUCHAR atr, PDWORD length), (lun, action, atr, length))
PASS(IFDHTransmitToICC, (DWORD lun, SCARD_IO_HEADER send, PUCHAR tx, DWORD txl, PUCHAR rx, PDWORD rxl, PSCARD_IO_HEADER recv), (lun, send, tx, txl, rx, rxl, recv))
PASS(IFDHControl, (DWORD lun, DWORD code, PUCHAR tx, DWORD txl, PUCHAR rx, DWORD rxl, LPDWORD got), (lun, code, tx, txl, rx, rxl, got))
PASS(IFDHICCPresence, (DWORD lun), (lun))
RESPONSECODE IFDHCloseChannel(DWORD lun) { return ((RESPONSECODE(*)(DWORD))real("IFDHCloseChannel"))(lun); }
