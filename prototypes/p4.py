from p2 import *
class T2(Tab):
    def var(s,i):
        v0=1/(s.root[1]+1); c=s.m.get(G[i]); n=c[1] if c is not None else np.zeros(A); w=n/(n+s.k)
        return 1/(n+s.k)+(1-w)**2*v0
def run4(w,kappa,sig,orders=10,q0=.7,lr=.3):
    on=[];la=[]
    for o in range(orders):
        rng=np.random.default_rng(100+o); order=rng.permutation(N); L=Hyb(lr,w); L.tab=T2(kappa,q0,1); L.tok.B+=np.log(q0/(1-q0)); got=np.empty(N)
        for t,i in enumerate(order):
            u=L.utility(i); a=int(np.argmax(u+sig*np.sqrt(L.tab.var(i))*rng.normal(size=A)))
            got[t]=task.utilities[i,a]; L.learn(i,a,task.successes[i,a],0,0)
        on.append(got.mean()); la.append(got[N//2:].mean())
    return f"{np.mean(on):.4f}+-{np.std(on):.4f} / {np.mean(la):.4f}"
if __name__=='__main__':
    for w in (0,.5):
        for kappa in (10,40,100):
            for sig in (.15,.3): print(w,kappa,sig,run4(w,kappa,sig),flush=True)
